/** What packages/sdk/README.md shows of a host is what `examples/hosts` has, where it is run. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const hosts = `${root}examples/hosts/`;

test("every host is shown, as it is", () => {
  const readme = readFileSync(`${root}packages/sdk/README.md`, "utf8");
  const blocks = [...readme.matchAll(/^```js\n\/\/ ([\w-]+\.mjs)[^\n]*\n(.*?)^```$/gms)];
  const shown = Object.fromEntries(blocks.map(([, name, code]) => [name, code]));
  // The processor, and pulling, stand in words of their own further up.
  const names = readdirSync(hosts).filter((name) => !["pong.mjs", "pull.mjs"].includes(name));
  expect(Object.keys(shown).sort()).toEqual(names.sort());
  for (const name of names) {
    const [, code = ""] = readFileSync(hosts + name, "utf8").split("*/\n");
    expect(shown[name], name).toBe(code);
  }
});
