/**
 * The port Secrets over entries that are sealed: who may have a value, how many there may be. Both adapters are this,
 * and differ in where the key comes from and where the entries go.
 */
import { type Clock, SecretError, type Secrets } from "@millrace/engine";
import type { SecretInput, SecretNote } from "@millrace/protocol";
import { type Limits, mayBeSentTo, StreamError } from "@millrace/protocol";
import { checkSecret } from "./check-secret.ts";
import type { Vault } from "./vault.ts";

/** A secret as it is kept: all but `sealed` can be read by anybody. */
export interface SealedSecret extends SecretNote {
  project: string;
  /** Base64 of nonce, ciphertext and tag. */
  sealed: string;
}

/** What a host needs beside the port, to end in good order. */
export interface KeptSecrets extends Secrets {
  /** Resolves when no change is under way. */
  settled(): Promise<void>;
}

export interface Keeping {
  /** What is there at the start. */
  entries: readonly SealedSecret[];
  /** Asked for when a value comes or goes, so that a server without secrets has no key either. */
  vault(): Promise<Vault>;
  /** Resolves when all of them are on disk. Never called twice at a time. */
  save(entries: readonly SealedSecret[], vault: Vault): Promise<void>;
  limits: Limits;
  clock: Pick<Clock, "now">;
}

/** The file is held in memory and written whole, so it has an end; with 10,000 secrets of 100 bytes it has 3 MiB. */
const allSecretsBytesMax = 64 * 1024 * 1024;

/** What a value is sealed together with: moved to another entry, or pinned elsewhere by hand, it does not open. */
export function boundTo({ project, name, hosts }: Pick<SealedSecret, "project" | "name" | "hosts">): unknown[] {
  return ["secret", project, name, hosts];
}

export function createKeptSecrets({ entries, vault, save, limits, clock }: Keeping): KeptSecrets {
  let kept: ReadonlyMap<string, SealedSecret> = new Map(
    entries.map((entry) => [keyOf(entry.project, entry.name), entry]),
  );
  let turn: Promise<unknown> = Promise.resolve();

  /** One change at a time: each is made from what the one before has left on disk. */
  function inTurn<Result>(change: () => Promise<Result>): Promise<Result> {
    const changed = turn.then(change);
    turn = changed.catch(() => {});
    return changed;
  }

  async function keep(next: ReadonlyMap<string, SealedSecret>): Promise<void> {
    await save([...next.values()], await vault());
    kept = next;
  }

  async function set(project: string, input: SecretInput): Promise<SecretNote> {
    const key = keyOf(project, input.name);
    const before = kept.get(key);
    const others = [...kept.values()].filter((entry) => entry !== before);
    if (before === undefined) checkCount(others, project, limits);
    checkBytes(others, input);
    const { seal } = await vault();
    const updatedAt = new Date(clock.now()).toISOString();
    const hosts = [...input.hosts];
    const secret: SealedSecret = {
      project,
      name: input.name,
      hosts,
      ...(input.description === undefined ? {} : { description: input.description }),
      createdAt: before?.createdAt ?? updatedAt,
      updatedAt,
      sealed: seal(boundTo({ project, name: input.name, hosts }), input.value),
    };
    await keep(new Map(kept).set(key, secret));
    return noteOf(secret);
  }

  return {
    async set(project, input) {
      checkSecret(input, limits);
      return inTurn(() => set(project, input));
    },
    async list(project) {
      const notes = [...kept.values()].filter((entry) => entry.project === project).map(noteOf);
      return notes.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    remove: (project, name) =>
      inTurn(async () => {
        const next = new Map(kept);
        if (!next.delete(keyOf(project, name))) return false;
        await keep(next);
        return true;
      }),
    async reveal(project, name, url) {
      const secret = kept.get(keyOf(project, name));
      if (secret === undefined) throw unknownSecret(project, name);
      checkPins(secret, url);
      return (await vault()).open(boundTo(secret), secret.sealed);
    },
    derive: async (purpose) => (await vault()).derive(purpose),
    settled: () => turn.then(() => {}),
  };
}

function keyOf(project: string, name: string): string {
  return JSON.stringify([project, name]);
}

function noteOf({ name, hosts, description, createdAt, updatedAt }: SealedSecret): SecretNote {
  return { name, hosts: [...hosts], ...(description === undefined ? {} : { description }), createdAt, updatedAt };
}

function checkCount(entries: readonly SealedSecret[], project: string, { secretsPerProject: limit }: Limits): void {
  if (entries.filter((entry) => entry.project === project).length < limit) return;
  const message = `A project has at most ${limit} secrets. Remove one that is not needed.`;
  throw new StreamError("rate_limited", message, { limit, unit: "secrets of this project" });
}

function checkBytes(others: readonly SealedSecret[], { value }: SecretInput): void {
  const bytes = others.reduce((sum, { sealed }) => sum + sealed.length, 0) + Buffer.byteLength(value);
  if (bytes <= allSecretsBytesMax) return;
  const message = `All secrets of a server together have at most ${allSecretsBytesMax} bytes. Remove some that are not needed.`;
  throw new StreamError("too_large", message, { limit: allSecretsBytesMax, unit: "bytes" });
}

function unknownSecret(project: string, name: string): SecretError {
  return new SecretError(
    `There is no secret ${JSON.stringify(name.slice(0, 255))} in project ${project}. Set it with: millrace secrets set ${name.slice(0, 255)} --host <host> --project ${project}`,
  );
}

function checkPins({ name, hosts }: SealedSecret, url: string): void {
  if (!URL.canParse(url)) throw new SecretError(`The secret "${name}" is for a URL; this is none.`);
  if (mayBeSentTo(hosts, url)) return;
  // The host alone: a URL may hold what nobody should read.
  const { protocol, host, origin } = new URL(url);
  const pin = protocol === "http:" ? origin : host;
  throw new SecretError(
    `The secret "${name}" may be sent to ${hosts.join(", ")}, and not to ${origin}. To allow it, set the secret again with --host ${pin}.`,
  );
}
