/**
 * A process that asks for expressions, as consumers of a server do: through the host's adapter with so many callers,
 * each of whom waits for its answer, or with the library on its own thread. The build is that of the measured server.
 */
import { pathToFileURL } from "node:url";
import { createHistogram } from "./histogram.mjs";
import { serveJobs } from "./jobs.mjs";

const ownRule = {
  matcher: "type = 'order-placed' and payload.customer.email != ''",
  transform:
    "{'type': 'invoice-requested', 'payload': {'order': payload.id, 'to': payload.customer.name, " +
    "'total': $sum(payload.items.(price * quantity))}}",
};
const ownInput = JSON.stringify({
  streamPath: "/shop/orders",
  offset: 17,
  type: "order-placed",
  payload: {
    id: "o-17",
    customer: { name: "Ada", email: "ada@example.com" },
    items: [
      { sku: "cup", price: 12.5, quantity: 4 },
      { sku: "plate", price: 9, quantity: 2 },
      { sku: "pot", price: 49, quantity: 1 },
    ],
  },
  createdAt: "2026-01-01T00:00:00.000Z",
});
const ownExpected = '{"type":"invoice-requested","payload":{"order":"o-17","to":"Ada","total":117}}';
const ownExample = { rule: ownRule, input: ownInput, expected: ownExpected };

/** `example` stands for the rule, its input and what is expected of it. */
serveJobs(async ({ main, callers, example = ownExample, warmupMs, windowMs }) => {
  const { evaluate, close } = await (callers === 0 ? inProcess(example) : throughAdapter(main, example));
  const { expected } = example;
  await ask(evaluate, expected, callers || 1, warmupMs);
  const result = await ask(evaluate, expected, callers || 1, windowMs);
  await close();
  return result;
});

async function ask(evaluate, expected, callers, milliseconds) {
  const latency = createHistogram();
  const startedAt = performance.now();
  const endsAt = startedAt + milliseconds;
  const call = async () => {
    for (let at = performance.now(); at < endsAt; ) {
      const result = await evaluate();
      if (result !== expected) throw new Error(`the result was ${result}`);
      const now = performance.now();
      latency.record((now - at) * 1_000);
      at = now;
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  const perSecond = (latency.count / (performance.now() - startedAt)) * 1_000;
  return { perSecond, latency: latency.summary() };
}

async function throughAdapter(main, { rule, input }) {
  // Of the build whose command line is `main`: packages/millrace/dist/cli/main.js
  const { createExpressions } = await import(new URL("../index.js", pathToFileURL(main)).href);
  const fail = (error) => {
    throw error;
  };
  const expressions = createExpressions({ timeoutMs: 100, onFault: fail });
  return {
    evaluate: async () => (await expressions.evaluate(rule, input)).result,
    close: () => expressions.close(),
  };
}

/** The least that anybody could do: compiled once, on the thread that asks, and nothing that could stop it. */
async function inProcess({ rule, input }) {
  const { default: jsonata } = await import("jsonata");
  const matcher = jsonata(rule.matcher);
  const transform = jsonata(rule.transform);
  return {
    async evaluate() {
      if (!(await matcher.evaluate(JSON.parse(input)))) return undefined;
      return JSON.stringify(await transform.evaluate(JSON.parse(input)));
    },
    async close() {},
  };
}
