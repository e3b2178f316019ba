/** What is wrong with deployed code is said in an event, with the author's line; and the next good configuration works. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { builtin, postJson } from "../processes/http.ts";
import { counting, type DeployedWorld, ping, startDeployedWorld } from "./deployed-world.ts";

/** The stream lives on, and so does its processor once it is configured anew. */
async function expectGoodNext(world: DeployedWorld, path: string): Promise<void> {
  await world.deploy(path, "counting", counting());
  await world.append(path, ping);
  const [pong] = await world.until(path, "pong");
  expect(pong).toEqual({ pings: 1, by: "one" });
}

test.each([
  ["a syntax error", "export default {\n  reduce( \n};", /processor\.ts:\d+/],
  ["TypeScript that does not compile", "const one = 1;\nconst two: = 2;\nexport default {};", /processor\.ts:2/],
  ["no default export", "export const other = 1;", /exports no processor/],
  [
    "an error while it is loaded",
    'const one = 1;\nthrow new TypeError("no luck");',
    /could not be loaded: TypeError: no luck \(at processor\.ts:2:7\)$/,
  ],
  ["an import of what is not there", 'import x from "left-pad";\nexport default x;', /left-pad/],
  ["an initial state that is no JSON", "export default { initialState: new Map() };", /initialState is not JSON/],
])("%s", async (_what, script, message) => {
  const world = await startDeployedWorld();
  const configuredAt = await world.deploy("/bad", "counting", script);
  const halted = await world.halt("/bad");
  expect(halted).toMatchObject({ slug: "counting", offset: configuredAt, message: expect.stringMatching(message) });
  await expectGoodNext(world, "/bad");
});

test("a module that waits for ever at its top level holds up neither the next configuration nor the end", async () => {
  const world = await startDeployedWorld();
  await world.deploy("/bad", "counting", "await new Promise(() => {});\nexport default {};");
  await world.append("/bad", ping);
  const since = performance.now();
  await expectGoodNext(world, "/bad");
  await world.deploy("/bad", "other", "await new Promise(() => {});\nexport default {};");
  await world.restart();
  // A module may take half a minute.
  expect(performance.now() - since).toBeLessThan(15_000);
});

const folding = (what: string) => `interface State { n: number }
export default {
  slug: "counting",
  reduce({ state, event }: { state: State; event: { type: string } }) {
    if (event.type === "odd") ${what}
    return state;
  },
};`;

test.each([
  [
    "a reducer that throws",
    'throw new RangeError("cannot fold this");',
    /RangeError: cannot fold this .*processor\.ts:5/,
  ],
  ["a state that is no JSON", "return new Map();", /not JSON: the state is a Map/],
  ["a state of 20 MB", 'return { text: "x".repeat(20_000_000) };', /20000011 characters as JSON, more than 8388608/],
])("%s, at offset 57", async (_what, code, message) => {
  const world = await startDeployedWorld();
  const configuredAt = await world.deploy("/bad", "counting", folding(code));
  const fine = Array.from({ length: 56 - configuredAt }, () => ({ type: "fine" }));
  expect(await world.append("/bad", ...fine, { type: "odd" }, { type: "fine" })).toBe(58);
  const halted = await world.halt("/bad");
  expect(halted).toMatchObject({ slug: "counting", offset: 57, attempts: 1 });
  expect(halted.message).toMatch(message);
  await expectGoodNext(world, "/bad");
});

test("a hook that fails every time is halted after its attempts, and each time says where", async () => {
  const world = await startDeployedWorld();
  const script = 'export default {\n  afterAppend() {\n    throw new Error("never");\n  },\n};';
  await world.deploy("/bad", "counting", script);
  const offset = await world.append("/bad", ping);
  const [error] = await world.until("/bad", builtin("error-occurred"));
  expect(error).toMatchObject({ message: expect.stringMatching(/never .*processor\.ts:3/), about: { offset } });
  // The next configuration keeps the cursor: it acts on what the first one did not get done.
  await world.deploy("/bad", "counting", counting());
  await world.append("/bad", ping);
  expect(await world.until("/bad", "pong", 2)).toMatchObject([{ pings: 1 }, { pings: 2 }]);
});

test("a bundle that is too large is refused where it arrives, and the stream lives on", async () => {
  const world = await startDeployedWorld();
  const configured = (script: string) => ({
    type: builtin("dynamic-worker/configured"),
    payload: { slug: "counting", script },
  });
  const response = await postJson(world.url, "/bad", configured("x".repeat(7 * 1024 * 1024)));
  expect(response.status).toBe(413);
  expect(await response.text()).toContain("too_large");
  await world.append("/bad", configured("x".repeat(5 * 1024 * 1024)));
  const [invalid] = await world.until("/bad", builtin("invalid-event-appended"));
  expect(JSON.stringify(invalid)).toMatch(/4 ?MiB|4194304/);
  await expectGoodNext(world, "/bad");
});

test("a secret that there is not is refused before anything leaves, and told", async () => {
  const asked: string[] = [];
  const receiver = createServer((request, response) => {
    asked.push(request.url as string);
    response.end();
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void receiver.close());
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  const world = await startDeployedWorld();
  const script = `export default { async afterAppend({ event, fetch, append }) {
    if (event.type !== "ask") return;
    const headers = { authorization: "Bearer {{secret:nobody-set-it}}" };
    const response = await fetch(${JSON.stringify(url)}, { headers });
    await append({ type: "asked", payload: { status: response.status } });
  } };`;
  await world.deploy("/bad", "counting", script);
  const offset = await world.append("/bad", { type: "ask" });
  const [error] = await world.until("/bad", builtin("error-occurred"));
  expect(error).toMatchObject({
    message: expect.stringContaining("nobody-set-it"),
    about: { kind: "processor", slug: "counting", offset },
  });
  expect(asked).toEqual([]);
  await expectGoodNext(world, "/bad");
});
