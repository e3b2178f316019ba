/** Code that is not bundled yet: files and the packages that they need, for the server to bundle. */
import { z } from "zod";
import { defineContract, type EventContract } from "../contract.ts";
import { sourceMain, sourceMains } from "../source-main.ts";
import { type ContractFault, deployment, sizeFault } from "./deployment.ts";
import { jsonObject, slug, stringRecord, text } from "./fields.ts";

interface Source {
  files: Record<string, string>;
  packageJson?: Record<string, unknown> | undefined;
  main?: string | undefined;
}

const dependencies = z.record(z.string(), z.string());

const source = z
  .strictObject({
    slug,
    files: stringRecord,
    packageJson: jsonObject.optional(),
    main: text.optional(),
    ...deployment,
  })
  .superRefine((payload, context) => {
    const fault = sourceFault(payload);
    if (fault !== undefined) context.addIssue({ code: "custom", ...fault });
  });

export const sourceConfigured: EventContract = defineContract({
  name: "dynamic-worker/source-configured",
  whilePaused: true,
  payload: source,
  example: {
    slug: "ping-pong",
    packageJson: { dependencies: { nanoid: "^5.0.0" } },
    files: {
      "processor.ts":
        'import { nanoid } from "nanoid";\n' +
        "export default {\n" +
        '  slug: "ping-pong",\n' +
        "  initialState: {},\n" +
        "  reduce: ({ state }) => state,\n" +
        "  async afterAppend({ event, append }) {\n" +
        '    if (event.type === "ping") await append({ type: "pong", payload: { id: nanoid() } });\n' +
        "  },\n" +
        "};\n",
    },
  },
  summary: "Bundles code with its npm packages, and deploys it.",
  documentation:
    "The server bundles `files` with the `dependencies` of `packageJson` and answers, once for each of these events, " +
    "with `dynamic-worker/configured` or with an `error-occurred` that says what to repair: file, line, column and " +
    "text. The entry is `main`, the `main` of `packageJson`, `processor.ts`, `processor.js`, `index.ts`, `index.js` " +
    "or the only file. Packages come by name and version range from the registry that the operator allows; none of " +
    "their code or scripts runs while they are bundled. The newest source of a slug wins. Everything else is passed " +
    "on to the configuration as it stands. Removing the processor withdraws its sources too.",
});

function sourceFault(payload: Source): ContractFault | undefined {
  const names = Object.keys(payload.files);
  if (names.length === 0) return { path: ["files"], message: "expected at least one file" };
  const odd = names.find((name) => !isFileName(name));
  if (odd !== undefined) {
    const expected = "expected a relative name such as lib/text.ts, with no . or .. in it and not below node_modules";
    return { path: ["files", odd], message: expected };
  }
  if (payload.main !== undefined && !Object.hasOwn(payload.files, payload.main)) {
    return { path: ["main"], message: "expected the name of one of the files" };
  }
  if (sourceMain(payload) === undefined) {
    const message = `expected the name of a file, since none is called ${sourceMains.join(" or ")}`;
    return { path: ["main"], message };
  }
  const declared = payload.packageJson?.dependencies;
  if (declared !== undefined && !dependencies.safeParse(declared).success) {
    const message = 'expected names with versions, such as {"nanoid": "^5.0.0"}';
    return { path: ["packageJson", "dependencies"], message };
  }
  return sizeFault(Object.values(payload.files));
}

function isFileName(name: string): boolean {
  const segments = name.split("/");
  if (name.includes("\\") || name.length > 1_000 || segments.includes("node_modules")) return false;
  return segments.every((segment) => segment !== "" && segment !== "." && segment !== "..");
}
