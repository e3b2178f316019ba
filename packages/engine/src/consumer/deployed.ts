/** Processors whose code events brought, run in a sandbox. */
import {
  type ConsumerSpec,
  type ElsewhereProcessor,
  type JsonObject,
  nameOfConsumer,
  StreamError,
} from "@millrace/protocol";
import { environment } from "../builtin/environment.ts";
import { processors } from "../builtin/processors.ts";
import { isSandboxError, type Sandbox, type SandboxCode, type SandboxLimits } from "../ports/sandbox.ts";
import { type Slices, sliceOf } from "../state.ts";
import { configurationOf, specsOf } from "./configured.ts";
import { processorKind } from "./processors.ts";
import { openSandboxed } from "./sandboxed.ts";
import type { ConsumerKind, ConsumerPlace } from "./spec.ts";
import { unlessLeft } from "./unless-left.ts";

interface DeployedPayload extends JsonObject {
  script: string;
  modules: Record<string, string>;
  main: string;
  env: Record<string, string>;
  limits: SandboxLimits & JsonObject;
  compatibilityDate: string;
  compatibilityFlags: string[];
  outboundGateway: JsonObject & { props: JsonObject & { secretHeaderName: string; secretHeaderValue: string } };
}

const errorOccurred = "https://events.iterate.com/events/stream/error-occurred";
/** When the sandbox cannot run anything, it is asked again after this time. */
const retryAfterSeconds = 10;
const mains = ["processor.ts", "processor.js"];

/** Of so many configurations for a subtree the code stays at hand, which may have 4 MiB. */
const codesKept = 8;

export function deployedKind(sandbox: Sandbox): ConsumerKind {
  const codeOf = keepingThoseOfAbove(readCode);
  return {
    ...processorKind(async () => {
      throw new Error("A deployed processor is loaded by its specification.");
    }),
    specs: specsWithEnvironment(),
    foresee(specs, { project, head }) {
      const isNew = ({ configuredAt, halted }: ConsumerSpec) => configuredAt > head() && halted === undefined;
      if (specs.some(isNew)) sandbox.prepare?.(project);
    },
    load: (spec, place, cursor, left) => load(sandbox, codeOf, { spec, place, cursor, left }),
  };
}

/** What is known of a deployed processor beside what is known of all consumers. */
interface DeployedSpec extends ConsumerSpec {
  /** Offsets of the events that set the stream's variables last, by name. */
  environment?: Readonly<Record<string, number>>;
}

/** A variable that is set restarts all processors of the stream. */
function specsWithEnvironment(): (slices: Slices) => readonly ConsumerSpec[] {
  const plain = specsOf(processors);
  const lists = new WeakMap<readonly ConsumerSpec[], { changedAt: number; specs: readonly ConsumerSpec[] }>();
  return (slices) => {
    const specs = plain(slices);
    const { changedAt, setAt } = sliceOf(slices, environment);
    if (changedAt === 0) return specs;
    const known = lists.get(specs);
    if (known?.changedAt === changedAt) return known.specs;
    const changed = specs.map((spec): DeployedSpec => ({ ...spec, environmentAt: changedAt, environment: setAt }));
    lists.set(specs, { changedAt, specs: changed });
    return changed;
  };
}

interface Loading {
  spec: ConsumerSpec;
  place: ConsumerPlace;
  cursor: number;
  left: AbortSignal | undefined;
}

type ReadCode = (spec: ConsumerSpec, place: ConsumerPlace) => Promise<SandboxCode>;

async function load(
  sandbox: Sandbox,
  codeOf: ReadCode,
  { spec, place, cursor, left }: Loading,
): Promise<ElsewhereProcessor> {
  const code = await codeOf(spec, place);
  const { path } = place;
  const { slug, epoch, configuredAt } = spec;
  try {
    left?.throwIfAborted();
    const sandboxed = await unlessLeft(sandbox.load(code, { path, slug, epoch, configuredAt }), left);
    return { open: (opening) => openSandboxed(sandboxed, slug, opening) };
  } catch (error) {
    if (!isSandboxError(error) || error.reason === "code") throw error;
    // Whatever is wrong is no fault of the code: it is told, and tried again.
    if (error.reason === "unavailable") await tellUnavailable(spec, place, cursor, error.message);
    const isLonger = error.reason === "unavailable";
    throw new StreamError("unavailable", error.message, { retryAfterSeconds: isLonger ? retryAfterSeconds : 1 });
  }
}

/** Once for each configuration. */
async function tellUnavailable(
  spec: ConsumerSpec,
  place: ConsumerPlace,
  cursor: number,
  message: string,
): Promise<void> {
  const { slug, epoch, configuredAt, inheritedFrom } = spec;
  const streamId = place.streamId();
  const key = `d:${nameOfConsumer("processor", spec)}/${epoch}/${streamId}/${configuredAt}/unavailable`;
  // A configuration above has no offset here; then it is said of the event that waits.
  const offset = inheritedFrom === undefined ? configuredAt : Math.max(Math.min(cursor + 1, place.head()), 1);
  const event = { type: errorOccurred, payload: { message, about: { kind: "processor", slug, offset } } };
  await place.state({ key, streamId, event, offset, slug });
}

/** A thousand streams that begin one after another read it once; where it stands, nothing else will ever stand. */
function keepingThoseOfAbove(read: ReadCode): ReadCode {
  const kept = new Map<string, Promise<SandboxCode>>();
  return (spec, place) => {
    const { inheritedFrom, configuredAt, environmentAt } = spec;
    if (inheritedFrom === undefined) return read(spec, place);
    const key = JSON.stringify([place.project, inheritedFrom, configuredAt, environmentAt]);
    const reading = kept.get(key) ?? read(spec, place);
    kept.delete(key);
    kept.set(key, reading);
    reading.catch(() => kept.delete(key));
    for (const oldest of kept.keys()) if (kept.size > codesKept) kept.delete(oldest);
    return reading;
  };
}

async function readCode(spec: ConsumerSpec, place: ConsumerPlace): Promise<SandboxCode> {
  const payload = await configurationOf<DeployedPayload>(spec, place);
  return codeFrom(place.project, payload, await environmentOf(spec, place));
}

function codeFrom(project: string, payload: Partial<DeployedPayload>, variables: Record<string, string>): SandboxCode {
  const { script, env, limits, compatibilityDate, compatibilityFlags } = payload;
  const { secretHeaderName, secretHeaderValue } = payload.outboundGateway?.props ?? {};
  const modules = script === undefined ? (payload.modules ?? {}) : { "processor.ts": script };
  const main = payload.main ?? mains.find((name) => Object.hasOwn(modules, name)) ?? Object.keys(modules)[0] ?? "";
  return {
    project,
    modules,
    main,
    // What a configuration says itself goes before what the stream says for all.
    env: { ...variables, ...env },
    ...(limits === undefined ? {} : { limits }),
    ...(compatibilityDate === undefined ? {} : { compatibilityDate }),
    ...(compatibilityFlags === undefined ? {} : { compatibilityFlags }),
    ...(secretHeaderName === undefined ? {} : { fixedHeader: [secretHeaderName, secretHeaderValue ?? ""] as const }),
  };
}

async function environmentOf(
  { environment: setAt = {}, inheritedFrom }: DeployedSpec,
  place: ConsumerPlace,
): Promise<Record<string, string>> {
  const entries = Object.entries(setAt).map(async ([key, offset]): Promise<[string, string]> => {
    const event = await place.eventAt(offset, inheritedFrom);
    return [key, String((event?.payload as { value?: string } | undefined)?.value ?? "")];
  });
  return Object.fromEntries(await Promise.all(entries));
}
