import { expect, test } from "vitest";
import { createPlaces } from "./places.ts";

test("a project has so many places, all have so many, and what is given back is there again, once", () => {
  const places = createPlaces({ ofProject: 2, all: 3 });
  const [first] = [places.take("a"), places.take("a")];
  expect(() => places.take("a")).toThrow("2 sandbox processes of the project a are busy already, which is the most.");
  expect([places.left("a"), places.left("b")]).toEqual([0, 1]);
  const other = places.take("b");
  expect(places.left("c")).toBe(0);
  expect(() => places.take("c")).toThrow("3 sandbox processes are busy already");
  first?.();
  first?.();
  places.take("c");
  expect(() => places.take("c")).toThrow("3 sandbox processes");
  other();
  places.take("a");
  expect(() => places.take("a")).toThrow("2 sandbox processes of the project a");
});
