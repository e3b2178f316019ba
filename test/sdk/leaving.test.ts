/** Whoever leaves a read takes the connection along: by breaking out, by `return()`, by a signal. */
import { expect, test, vi } from "vitest";
import { freshPath } from "../http/calls.ts";
import { collect, describeClients } from "./clients.ts";

const patience = { timeout: 5_000, interval: 5 };

describeClients("a reader that leaves", (fixture) => {
  const noReaders = () => vi.waitFor(async () => expect(await fixture().readers()).toBe(0), patience);
  const oneReader = () => vi.waitFor(async () => expect(await fixture().readers()).toBe(1), patience);

  test.each([false, true])("by breaking out of the loop (subtree: %s)", async (includeChildren) => {
    const client = fixture().connect();
    const path = freshPath("leaving");
    await client.append(path, { type: "t" });
    expect(await collect(client.stream(path, { includeChildren }), 2)).toHaveLength(2);
    await noReaders();
  });

  test("by return() while it waits for an event: the wait ends too", async () => {
    const client = fixture().connect();
    const events = client.tail(freshPath("leaving"));
    const waiting = events.next();
    await oneReader();
    await events.return();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await events.next()).toEqual({ done: true, value: undefined });
    await noReaders();
  });

  test("by a signal, whose reason is thrown", async () => {
    const client = fixture().connect();
    const leaving = new AbortController();
    const ended = collect(client.tail(freshPath("leaving"), { signal: leaving.signal }));
    await oneReader();
    leaving.abort(new Error("enough"));
    await expect(ended).rejects.toThrow("enough");
    await noReaders();
  });

  test("before it began: nothing is asked for", async () => {
    let requests = 0;
    const client = fixture().connect({ transport: () => Promise.reject(requests++) });
    const signal = AbortSignal.abort(new Error("too late"));
    await expect(collect(client.stream("a", { signal }))).rejects.toThrow("too late");
    await expect(collect(client.read("a", { signal }))).rejects.toThrow("too late");
    const events = client.stream("a");
    await events.return();
    expect(await collect(events)).toEqual([]);
    expect(requests).toBe(0);
  });

  test("while it waits to connect again", async () => {
    const leaving = new AbortController();
    const client = fixture().connect({
      transport: () => Promise.reject(new TypeError("nobody there")),
      retry: { attempts: Infinity, baseMs: 60_000 },
    });
    const onDisconnected = () => leaving.abort(new Error("enough"));
    await expect(collect(client.tail("a", { signal: leaving.signal, onDisconnected }))).rejects.toThrow("enough");
  });

  test("a signal also ends calls, and their waits", async () => {
    const leaving = new AbortController();
    const client = fixture().connect({
      transport: () => {
        setTimeout(() => leaving.abort(new Error("enough")));
        return Promise.reject(new TypeError("nobody there"));
      },
      retry: { attempts: Infinity, baseMs: 60_000 },
    });
    await expect(client.append("a", { type: "t" }, { signal: leaving.signal })).rejects.toThrow("enough");
  });
});
