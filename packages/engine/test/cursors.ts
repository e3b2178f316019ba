/** What the tests of remote cursors share: one stream, a cursor on it, and two runtimes. */
import type { RemoteCursor, RemoteCursorInput } from "@millrace/protocol";
import { createWorld, upTo, type World, type WorldOptions } from "./world.ts";

export const path = "/kept";
export const at = (
  offset: number,
  replaces: number | null,
  more: Partial<RemoteCursorInput> = {},
): RemoteCursorInput => ({
  offset,
  epoch: "1",
  runtimeId: "one",
  replaces,
  ...more,
});
export const byTwo = { runtimeId: "two" };
export const put = ({ engine }: World, input: RemoteCursorInput, slug = "greeter"): Promise<RemoteCursor> =>
  engine.putCursor("public", path, slug, input);
export const get = ({ engine }: World, slug = "greeter"): Promise<RemoteCursor> => engine.cursor("public", path, slug);

/** A world with a stream of so many events. */
export async function worldWith(head: number, options: WorldOptions = {}): Promise<World> {
  const world = createWorld(options);
  await world.append(
    path,
    upTo(head - 1).map((n) => ({ type: `n${n}` })),
  );
  return world;
}
