/**
 * What the peer of a WebSocket subscription appends over it: judged like what a hook appends, stored in the order in
 * which it came, with the subscription as its source and the cause that the peer names.
 */
import { type EventSource, isStreamError, parsePath, resolvePath, StreamError } from "@millrace/protocol";
import { appendedFrame, errorFrame, type FrameCause, type PeerFrame } from "./socket-frames.ts";
import type { ConsumerPlace } from "./spec.ts";

type AppendFrame = Extract<PeerFrame, { type: "append" }>;

/** @returns the frame that answers it; never rejects */
export type AnswerAppend = (frame: AppendFrame, bytes: number) => Promise<string>;

/** @param fence throws when nothing more of the peer is taken */
export function createSocketAppends(slug: string, place: ConsumerPlace, fence: () => void): AnswerAppend {
  /** Who came first is handed to the log first, whatever has to be looked up for it. */
  let turn: Promise<unknown> = Promise.resolve();

  async function sourceOf(cause: FrameCause | undefined): Promise<EventSource> {
    if (cause === undefined) return { kind: "remote", slug, depth: 0 };
    const streamPath = cause.streamPath === undefined ? place.path : parsePath(cause.streamPath);
    const { offset } = cause;
    const event = streamPath === place.path ? await place.eventAt(offset) : undefined;
    if (streamPath === place.path && event === undefined) {
      throw new StreamError("invalid_request", `There is no event ${offset} that could be the cause.`, {});
    }
    return { kind: "remote", slug, cause: { streamPath, offset }, depth: (event?.source?.depth ?? 0) + 1 };
  }

  function handOver({ path, event, cause }: AppendFrame, bytes: number) {
    const handing = turn.then(async () => {
      const source = await sourceOf(cause);
      const target = path === undefined ? place.path : resolvePath(place.path, path);
      fence();
      // Not awaited: the log takes many at once.
      return { appending: place.append({ path: target, event: place.parse(event), source, fence, bytes }) };
    });
    turn = handing.catch(() => {});
    return handing;
  }

  return async (frame, bytes) => {
    try {
      const { appending } = await handOver(frame, bytes);
      return appendedFrame(frame.id, (await appending).event);
    } catch (error) {
      if (isStreamError(error)) return errorFrame(frame.id, error.code, error.message);
      return errorFrame(frame.id, "unavailable", "It could not be stored now.");
    }
  };
}
