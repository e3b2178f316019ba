/**
 * Unbundled code: a consumer for each slug that acts on its `source-configured` events, one after another. Each is
 * answered once, under a derived key: with the configuration that deploys the bundle, or with an error that says what to
 * repair. The newest source wins: an older one that waits is answered as replaced, and never deployed behind it.
 *
 * What the registry cannot tell now is asked again on the ladder, and in the end answered as an error, so nothing waits
 * for ever. Answers are facts that the server states, since a pause must not swallow a repair.
 */
import {
  type ConsumerSpec,
  consumerName,
  isStreamError,
  type JsonObject,
  type JsonValue,
  parseEventInput,
  type StreamError,
  type StreamEvent,
  sourceMain,
} from "@millrace/protocol";
import { isOfStream } from "../builtin/configurations.ts";
import { sourceConfigured, sources } from "../builtin/sources.ts";
import type { Bundled, Bundler } from "../ports/bundler.ts";
import { type Slices, sliceOf } from "../state.ts";
import { unavailable } from "../unavailable.ts";
import { haltPayload, specsOf } from "./configured.ts";
import type { ConsumerKind, ConsumerPlace } from "./spec.ts";

const prefix = "https://events.iterate.com/events/stream/";
const haltedType = `${prefix}dynamic-worker/halted`;
/** About eight minutes on the ladder. */
const attemptsMax = 10;
const messageCharactersMax = 8_192;
const problemsMax = 20;
const types: ReadonlySet<string> = new Set([sourceConfigured]);
/** What the log would refuse for ever. */
const hopelessCodes: ReadonlySet<string> = new Set(["invalid_request", "too_large"]);

interface SourcePayload extends JsonObject {
  slug: string;
  files: Record<string, string>;
}

interface Answer {
  type: string;
  payload: JsonObject;
}

export function bundlerKind(bundler: Bundler): ConsumerKind {
  return {
    kind: "bundler",
    sourceKind: "server",
    helps: true,
    // The last attempt always answers, so what fails behind it is a fault of the server.
    failuresMax: attemptsMax + 5,
    stateless: true,
    goesOnWhilePaused: true,
    specs: specsWithTypes(),
    haltedType,
    aboutTypes: new Set(),
    halted: (spec, halt) => haltPayload(spec, halt, `${prefix}dynamic-worker/resumed`),

    async load(spec, place) {
      const { slug } = spec;
      return {
        slug,
        initialState: null,
        reduce: () => null,
        async afterAppend({ event, attempt, signal }) {
          const payload = event.payload as SourcePayload;
          if (payload.slug !== slug) return;
          const say = sayingOf(event, spec, place);
          if (event.offset < spec.configuredAt) return say(faultAnswer(event, replacedBy(spec.configuredAt)));
          const bundled = await bundle(bundler, payload, attempt, signal);
          signal.throwIfAborted();
          if ("fault" in bundled) return say(faultAnswer(event, bundled.fault, bundled.problems));
          await deploy(event, configuredAnswer(payload, bundled.modules), place, say);
        },
      };
    },
  };
}

function specsWithTypes(): (slices: Slices) => readonly ConsumerSpec[] {
  const plain = specsOf(sources);
  const lists = new WeakMap<readonly ConsumerSpec[], readonly ConsumerSpec[]>();
  return (slices) => {
    const specs = plain(slices);
    const known = lists.get(specs) ?? specs.map((spec) => ({ ...spec, types }));
    lists.set(specs, known);
    return known;
  };
}

async function bundle(
  bundler: Bundler,
  payload: SourcePayload,
  attempt: number,
  signal: AbortSignal,
): Promise<Bundled> {
  const { files, packageJson = {} } = payload;
  try {
    return await bundler.bundle(
      { files, main: sourceMain(payload) ?? "", packageJson: packageJson as JsonObject },
      signal,
    );
  } catch (error) {
    if (signal.aborted || attempt < attemptsMax || isStreamError(error, "unavailable")) throw error;
    const message = error instanceof Error ? error.message : String(error);
    return { fault: `${message} This was attempt ${attempt}, the last one: append the source again to try once more.` };
  }
}

/** Nothing else can know whether it was overtaken: that is judged in its turn, right before it would stand in the log. */
async function deploy(
  event: StreamEvent,
  answer: Answer,
  place: ConsumerPlace,
  say: ReturnType<typeof sayingOf>,
): Promise<void> {
  const { slug } = event.payload as SourcePayload;
  const parsed = parseEventInput(answer, { jsonDepth: place.limits.jsonDepth });
  if (!parsed.ok) return say(faultAnswer(event, `What was bundled cannot be deployed: ${parsed.error}`));
  let outdated: string | undefined;
  try {
    await say(answer, (slices) => {
      outdated = outdatedBecause(slices, slug, event.offset);
      return outdated === undefined;
    });
  } catch (error) {
    if (outdated !== undefined) return say(faultAnswer(event, outdated));
    if (isStreamError(error) && isHopeless(error)) return say(faultAnswer(event, error.message));
    throw isStreamError(error, "rate_limited") ? unavailable(error.message) : error;
  }
}

/** What a stream may have stays as it is until somebody removes some; a queue that is full is only busy. */
function isHopeless(error: StreamError): boolean {
  return isStreamError(error, "rate_limited") ? isOfStream(error.data.unit) : hopelessCodes.has(error.code);
}

/** Appends an answer to a source, once: called again, also with another one, the first stands. */
function sayingOf(event: StreamEvent, { slug, epoch }: ConsumerSpec, place: ConsumerPlace) {
  const { offset, source } = event;
  const streamId = place.streamId();
  const key = `d:${consumerName("bundler", slug)}/${epoch}/${streamId}/${offset}/answer`;
  const depth = (source?.depth ?? 0) + 1;
  return (answer: Answer, stillTrue: (slices: Slices) => boolean = () => true): Promise<void> =>
    place.state({ key, streamId, event: answer, offset, slug, depth, stillTrue });
}

function outdatedBecause(slices: Slices, slug: string, offset: number): string | undefined {
  const { bySlug } = sliceOf(slices, sources);
  const source = Object.hasOwn(bySlug, slug) ? bySlug[slug] : undefined;
  if (source === undefined) return `The processor "${slug}" was removed before its source was bundled.`;
  if (source.configuredAt !== offset) return replacedBy(source.configuredAt);
  if (source.overtakenAt === undefined) return undefined;
  return `The processor "${slug}" was configured by event ${source.overtakenAt} before this source was bundled, so the bundle was not deployed.`;
}

function replacedBy(offset: number): string {
  return `A newer source of this processor, event ${offset}, replaced this one before it was bundled.`;
}

/** How it is to run is passed on as it stands. */
function configuredAnswer(
  { files: _, packageJson: __, main: ___, ...deployment }: SourcePayload,
  modules: Record<string, string>,
): Answer {
  return { type: `${prefix}dynamic-worker/configured`, payload: { ...deployment, modules } };
}

function faultAnswer(
  { offset, payload }: StreamEvent,
  fault: string,
  problems?: Extract<Bundled, { fault: string }>["problems"],
): Answer {
  const { slug } = payload as SourcePayload;
  const told: JsonObject = { message: fault.slice(0, messageCharactersMax), about: { kind: "bundler", slug, offset } };
  if (problems !== undefined) told.error = { problems: problems.slice(0, problemsMax) as unknown as JsonValue };
  return { type: `${prefix}error-occurred`, payload: told };
}
