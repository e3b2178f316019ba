/**
 * The driver's decisions as tables: what is heard on the left, the step that follows on the right. An empty left side
 * asks for the step without anything having been heard. `(4)` in a range that was read is an event that is only to be
 * folded; times are milliseconds since the start.
 */
import { expect } from "vitest";
import { type Driver, type DriverSettings, type Heard, hear, nextStep, type Step, startDriver } from "../src/driver.ts";
import type { StreamEvent } from "../src/event.ts";
import { type Progress, progressAt } from "../src/progress.ts";

export interface Start extends Partial<DriverSettings> {
  start?: "first" | "version" | "again";
  progress?: Partial<Progress>;
  head: number;
  folded?: number;
  /** Nothing of a first start is on disk yet. Otherwise tables begin behind that. */
  unsaved?: true;
}

export function startOf({ start = "again", progress = {}, head, folded = 0, unsaved, ...settings }: Start): Driver {
  const full = { misses: false, decides: false, failuresMax: 5, ...settings };
  const driver = startDriver(full, { start, progress: { ...progressAt(0), ...progress }, head, folded });
  return start === "again" || unsaved ? driver : hear(driver, { is: "saved", progress: driver.progress });
}

/** Plays a table; answers the driver at its end. */
export function play(start: Start, table: string): Driver {
  let driver = startOf(start);
  let now = 0;
  for (const line of table.trim().split("\n")) {
    const [left = "", right = ""] = line.split("->").map((text) => text.trim());
    if (left.startsWith("at ")) now = Number(left.slice(3));
    else if (left !== "") driver = hear(driver, heardOf(left, driver, now));
    expect(textOf(nextStep(driver, now)), line.trim()).toBe(right);
  }
  return driver;
}

function heardOf(text: string, driver: Driver, now: number): Heard {
  const [word = "", ...words] = text.split(" ");
  const rest = words.join(" ");
  switch (word) {
    case "head":
    case "away":
      return { is: word, head: Number(rest) };
    case "read": {
      const [through, events = ""] = rest.split(":");
      return {
        is: "scanned",
        through: Number(through),
        events: events.trim().split(" ").filter(Boolean).map(delivered),
      };
    }
    case "folded":
      return { is: "folded", offset: Number(rest) };
    case "foldFailed":
      return { is: "foldFailed", offset: Number(words[0]), message: words.slice(1).join(" ") };
    case "saved":
      return { is: "saved", progress: driver.progress };
    case "failed":
      return { is: "failed", message: rest, now, jitter: 0, costs: true };
    case "failedFree":
      return { is: "failed", message: rest, now, jitter: 0, costs: false };
    case "opened":
      return { is: "workOpened", work: { name: words[0] as string, offset: Number(words[1]) } };
    case "closed":
      return { is: "workClosed", name: rest };
    case "cut":
      return { is: "workInterrupted", name: rest };
    case "returned":
    case "ended":
    case "diverged":
    case "due":
    case "paused":
    case "resumed":
    case "halted":
      return { is: word };
    default:
      throw new Error(`nobody says "${text}"`);
  }
}

export function delivered(text: string): { event: StreamEvent; act: boolean } {
  return { event: eventAt(Number(text.replace(/[()]/g, ""))), act: !text.startsWith("(") };
}

export function eventAt(offset: number): StreamEvent {
  return { streamPath: "/s", offset, type: "t", payload: {}, createdAt: "2026-01-01T00:00:00.000Z" };
}

export function textOf(step: Step): string {
  switch (step.do) {
    case "scan":
      return `scan ${step.after}-${step.through}`;
    case "fold":
      // Of several it may be told one by one.
      return `fold ${step.events[0]?.offset}`;
    case "act":
      return `act ${step.event.offset} #${step.attempt}`;
    case "catchUp": {
      const { missed, interrupted, attempt } = step;
      const begun = interrupted?.offset === undefined ? "" : ` ${interrupted.offset}`;
      const work = interrupted?.work.map(({ name, offset }) => ` ${name}@${offset}`).join("") ?? "";
      return `catchUp${missed ? ` missed ${missed.after}-${missed.through}` : ""}${interrupted ? ` interrupted${begun}${work}` : ""} #${attempt}`;
    }
    case "halt":
      return `halt ${step.offset} x${step.attempts}: ${step.message}`;
    case "save":
      return "save";
    case "rest":
      return step.until === undefined ? "rest" : `rest until ${step.until}`;
  }
}
