/** Appends and live reading with `node:http` and nothing else, so that little of what is measured is the caller's. */
import { get, request } from "node:http";

/** Resolves with what was stored. */
export function append(agent, url, event) {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const posted = request(url, { agent, method: "POST", headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (part) => {
        text += part;
      });
      answer.on("end", () => {
        if (answer.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`an append was answered ${answer.statusCode}`));
      });
    });
    posted.on("error", reject);
    posted.end(JSON.stringify(event));
  });
}

/** Resolves with the first bytes: from then on it is live. */
export function follow(url, onEvent) {
  return new Promise((resolve, reject) => {
    const asked = get(url, { agent: false }, (answer) => {
      let rest = "";
      answer.setEncoding("utf8");
      answer.on("error", () => {});
      answer.on("data", (text) => {
        resolve(asked);
        const lines = (rest + text).split("\n");
        rest = lines.pop();
        for (const line of lines) if (line.startsWith("data: {")) onEvent(JSON.parse(line.slice(6)));
      });
    });
    asked.on("error", reject);
  });
}
