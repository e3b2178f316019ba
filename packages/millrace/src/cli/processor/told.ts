/** What is said of a running processor, as values, and how a person reads one: a line each. */
import { builtinPrefix, type JsonValue } from "@millrace/protocol";
import { escapeControls } from "../escape-controls.ts";
import { shortJson } from "./change.ts";

export type Told = { path: string; offset?: number | undefined } & (
  | { kind: "event"; type: string; payload: JsonValue; attempt: number }
  | { kind: "folded"; events: number }
  | { kind: "state"; change: string }
  | { kind: "appended"; to: string; at: number; type: string; payload: JsonValue; replayed: boolean }
  | { kind: "acted"; milliseconds: number }
  | { kind: "failed"; milliseconds?: number; message: string; line?: string | undefined }
  | { kind: "told"; message: string }
);

/** Without its time. The type is what a person looks for. */
export function toldText(told: Told, emphasise: (text: string) => string, alarm: (text: string) => string): string {
  const { offset } = told;
  const path = escapeControls(told.path);
  const place = offset === undefined ? path : `${path}@${offset}`;
  switch (told.kind) {
    case "event": {
      const again = told.attempt > 1 ? `, attempt ${told.attempt}` : "";
      return `${place} ${emphasise(shortType(told.type))} ${shortJson(told.payload)}${again}`;
    }
    case "folded":
      return `${place} folded ${told.events.toLocaleString("en-US")} ${told.events === 1 ? "event" : "events"}`;
    case "state":
      return `${place}   state: ${escapeControls(told.change)}`;
    case "appended": {
      const verb = told.replayed ? "had appended" : "appended";
      return `${place}   ${verb} ${escapeControls(told.to)}@${told.at} ${shortType(told.type)} ${shortJson(told.payload)}`;
    }
    case "acted":
      return `${place}   ${offset === undefined ? "decided on what was missed" : "acted"} in ${shown(told.milliseconds)}`;
    case "failed": {
      const after = told.milliseconds === undefined ? "" : ` after ${shown(told.milliseconds)}`;
      return `${place}   ${alarm(`failed${after}`)}: ${escapeControls(told.message)}${told.line === undefined ? "" : ` (${told.line})`}`;
    }
    case "told":
      return `${place}   ${alarm("error")}: ${escapeControls(told.message)}`;
  }
}

const shortType = (type: string): string =>
  escapeControls(type.startsWith(builtinPrefix) ? `.../stream/${type.slice(builtinPrefix.length)}` : type);

const shown = (milliseconds: number): string => `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
