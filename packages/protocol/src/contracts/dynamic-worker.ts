/** Code that is deployed by an event. */
import { z } from "zod";
import { defineContract, type EventContract } from "../contract.ts";
import { type ContractFault, deployment, sizeFault } from "./deployment.ts";
import { sourceConfigured } from "./dynamic-worker-source.ts";
import { inheritableHalt, name, removal, resumption, slug, stringRecord, text } from "./fields.ts";

type Code = { script?: string | undefined; modules?: Record<string, string> | undefined; main?: string | undefined };

const defaultMains = ["processor.ts", "processor.js"];

const configuration = z
  .strictObject({
    slug,
    script: text.optional(),
    modules: stringRecord.optional(),
    main: text.optional(),
    ...deployment,
  })
  .superRefine((payload, context) => {
    const fault = codeFault(payload);
    if (fault !== undefined) context.addIssue({ code: "custom", ...fault });
  });

const configured = defineContract({
  name: "dynamic-worker/configured",
  whilePaused: true,
  payload: configuration,
  example: {
    slug: "ping-pong",
    script:
      "export default {\n" +
      '  slug: "ping-pong",\n' +
      "  initialState: {},\n" +
      "  reduce: ({ state }) => state,\n" +
      "  async afterAppend({ event, append }) {\n" +
      '    if (event.type === "ping") await append({ type: "pong" });\n' +
      "  },\n" +
      "};\n",
  },
  summary: "Deploys a processor into the stream.",
  documentation:
    "The code is JavaScript or TypeScript that exports a processor: one `script`, or several `modules` of which " +
    "`main` is the entry (`processor.ts`, `processor.js` or the only one if it is not named). Appending the event " +
    "deploys it, the same slug again replaces it, an older configuration appended again is a rollback; the cursor is " +
    "kept unless `startFrom` is given. The payload's slug wins over the one in the code. `env` reaches the code as " +
    "an argument and in `process.env`. With `includeChildren` it serves every stream below this one too, " +
    "those that exist and those that are born later, each with a state and a cursor of its own; a stream that " +
    "configures the same slug itself, or lies below one that does so for its children, has that one instead. Code in a " +
    "stream that already has events starts at the head: history is reduced, not acted on. All modules together may " +
    "have 4 MiB.",
});

const envVarSet = defineContract({
  name: "dynamic-worker/env-var-set",
  payload: z.strictObject({ key: name(255), value: z.string() }),
  example: { key: "OPENAI_API_KEY", value: "{{secret:OPENAI_API_KEY}}" },
  summary: "Sets an environment variable for all deployed processors of the stream.",
  documentation:
    "The value reaches the code as it stands here, as an argument and in `process.env`. Events can be read, so a key " +
    "belongs into a secret: the code sees only the placeholder, which is replaced in the headers of outgoing " +
    "requests.",
});

const removed = defineContract({
  name: "dynamic-worker/removed",
  whilePaused: true,
  payload: removal,
  example: { slug: "ping-pong" },
  summary: "Ends a deployed processor.",
  documentation: "The code runs no more. Removing a processor that does not exist changes nothing.",
});

const halted = defineContract({
  name: "dynamic-worker/halted",
  serverOnly: true,
  payload: inheritableHalt,
  example: { slug: "ping-pong", offset: 17, message: "TypeError: event.payload.text is undefined (processor.js:6)" },
  summary: "A deployed processor gave up at an event.",
  documentation:
    "A reducer that throws is halted at that event at once, a hook after its last attempt. The processor stands " +
    "still until it is resumed, configured again or removed. One that a stream above configured for its children is " +
    "halted on this stream alone: `configuration` names the event that it comes from.",
});

const resumed = defineContract({
  name: "dynamic-worker/resumed",
  payload: resumption,
  example: { slug: "ping-pong", from: "cursor" },
  summary: "Lets a halted processor go on.",
  documentation:
    "`from` says where: at its cursor (the default), at the head, or after the offset given. One that a stream " +
    "above configured for its children is resumed where it was halted.",
});

export const dynamicWorkerContracts: readonly EventContract[] = [
  configured,
  sourceConfigured,
  envVarSet,
  removed,
  halted,
  resumed,
];

function codeFault({ script, modules, main }: Code): ContractFault | undefined {
  if (script !== undefined) {
    if (modules !== undefined) return { path: [], message: "expected either script or modules, got both" };
    if (main !== undefined) return { path: ["main"], message: "only modules have a main; script is one by itself" };
    return sizeFault([script]);
  }
  if (modules === undefined) return { path: [], message: "expected either script or modules, got neither" };
  const names = Object.keys(modules);
  if (names.length === 0) return { path: ["modules"], message: "expected at least one module" };
  if (main === undefined && names.length !== 1 && !defaultMains.some((entry) => Object.hasOwn(modules, entry))) {
    return {
      path: ["main"],
      message: `expected the name of a module, since none is called ${defaultMains.join(" or ")}`,
    };
  }
  if (main !== undefined && !Object.hasOwn(modules, main)) {
    return { path: ["main"], message: "expected the name of one of the modules" };
  }
  return sizeFault(Object.values(modules));
}
