/** The handler in process, on time and chance that repeat themselves, so that every byte of an answer is known. */
import { createEngine, createMemoryDirectory, type Engine } from "@millrace/engine";
import { type AccessOptions, createHandler } from "@millrace/http";
import type { Limits } from "@millrace/protocol";
import { createManualClock, createSeededRandom, type ManualClock } from "@millrace/testing";

export interface World {
  engine: Engine;
  clock: ManualClock;
  /** The time at which everything happens, until the clock is moved. */
  at: string;
  send(target: string, request?: RequestInit): Promise<Response>;
  append(path: string, value: unknown): Promise<void>;
}

export function createWorld({ access, limits }: { access?: AccessOptions; limits?: Partial<Limits> } = {}): World {
  const clock = createManualClock();
  const random = createSeededRandom(1);
  const engine = createEngine({ directory: createMemoryDirectory(), clock, random, limits: limits ?? {} });
  const handler = createHandler({ engine, access: access ?? {} });
  const send: World["send"] = (target, request) => handler.fetch(new Request(`http://localhost${target}`, request));
  return {
    engine,
    clock,
    at: new Date(clock.now()).toISOString(),
    send,
    async append(path, value) {
      const answer = await send(`/api/streams${path}`, { method: "POST", body: JSON.stringify(value) });
      if (answer.status !== 200) throw new Error(`${path}: ${await answer.text()}`);
    },
  };
}
