/**
 * The agent of the talk: it asks a model whenever somebody says something, and streams the answer into the stream, as
 * events. The code has no dependencies, so that curl can deploy it as well: see README.md. The key is a secret, which no
 * event holds and the code never sees; this asks for it: npx millrace secrets set openai --host api.openai.com
 *
 *     npx millrace deploy examples/09-openai-agent.js --path /examples/agent
 *
 * and in another terminal: npx millrace append /examples/agent agent-input-added --payload '{"content":"Who are you?"}'
 * then: npx millrace tail /examples/agent --from start
 *
 * Whoever speaks while it answers interrupts it. What a crash or a pause cut short is asked again.
 */
const instructions = "You are a helpful agent. Answer in a few sentences.";

export default {
  slug: "openai-agent",
  initialState: { model: "gpt-5.4", history: [], asked: 0, before: 0 },

  reduce({ state, event: { type, offset, payload } }) {
    const with_ = (role, content) => ({ ...state, history: [...state.history, { role, content }] });
    const answered = payload?.inputOffset === state.asked ? { asked: 0 } : {};
    if (type === "agent-input-added") return { ...with_("user", payload.content), asked: offset, before: state.asked };
    if (type === "llm-model-chosen") return { ...state, model: payload.model };
    if (type === "llm-request-completed") return { ...with_("assistant", payload.outputText), ...answered };
    if (type === "llm-request-failed") return { ...state, ...answered };
  },

  afterAppend({ event: { type, payload }, state, abort, waitUntil, ...tools }) {
    const isNew = type === "agent-input-added";
    const isCut = type === "llm-request-interrupted" && payload.inputOffset === state.asked;
    if (isNew) abort(`reply-${state.before}`);
    if (isNew || isCut) waitUntil(`reply-${state.asked}`, (work) => reply(state.asked, { ...tools, ...work }));
  },

  // A crash or a pause: whether the answer was there by then, or somebody spoke since, the state behind this event tells.
  async afterCatchUp({ interrupted, append }) {
    for (const { name } of interrupted?.work ?? []) {
      await append({ type: "llm-request-interrupted", payload: { inputOffset: Number(name.split("-")[1]) } });
    }
  },
};

async function reply(inputOffset, { fetch, env, signal, state, append }) {
  const tell = (type, payload) => append({ type, payload: { inputOffset, ...payload } });
  const { model, history } = state();
  await tell("llm-request-started", { model });
  try {
    const response = await fetch(`${env.OPENAI_BASE_URL ?? "https://api.openai.com/v1"}/responses`, {
      method: "POST",
      headers: { authorization: "Bearer {{secret:openai}}", "content-type": "application/json" },
      body: JSON.stringify({ model, instructions, input: history, stream: true }),
      signal,
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    const outputText = await streamed(response.body, (text) => tell("llm-output-chunk-added", { text }));
    await tell("llm-request-completed", { outputText });
  } catch (error) {
    if (signal.aborted) await tell("llm-request-canceled", {});
    else await tell("llm-request-failed", { message: error.message });
  }
}

/** The whole text; what comes within 40 ms is told in one piece, so that a quick model does not flood the stream. */
async function streamed(body, tellChunk) {
  let [text, told, toldAt, rest] = ["", 0, 0, ""];
  for await (const part of body.pipeThrough(new TextDecoderStream())) {
    const messages = (rest + part).split(/\r?\n\r?\n/);
    rest = messages.pop();
    for (const message of messages) {
      const event = JSON.parse(/^data: (.*)$/m.exec(message)?.[1] ?? "{}");
      if (event.type === "response.output_text.delta") text += event.delta;
      if (event.type === "error") throw new Error(event.message);
      if (event.type === "response.failed") throw new Error(event.response.error.message);
      const isOver = event.type === "response.completed";
      if (told < text.length && (isOver || Date.now() - toldAt >= 40)) {
        await tellChunk(text.slice(told));
        [told, toldAt] = [text.length, Date.now()];
      }
      if (isOver) return text;
    }
  }
  throw new Error("The answer ended before it was complete.");
}
