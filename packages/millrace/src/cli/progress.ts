/** How far a long command is, on stderr: a line that is rewritten on a terminal, else a new one every second. */
import { note } from "./output.ts";

export interface Progress {
  /** @param text such as `12,000 of 50,000 events` */
  update(text: () => string): void;
  /** Leaves the terminal's line clean. */
  end(): void;
}

export function createProgress(now: () => number = Date.now): Progress {
  const terminal = process.stderr.isTTY === true;
  const everyMs = terminal ? 100 : 1_000;
  let shownAt = now();
  let shown = false;
  return {
    update(text) {
      if (now() - shownAt < everyMs) return;
      shownAt = now();
      shown = true;
      if (terminal) process.stderr.write(`\r\x1b[K${text()}`);
      else note(text());
    },
    end() {
      if (terminal && shown) process.stderr.write("\r\x1b[K");
    },
  };
}

export const counted = (count: number): string => count.toLocaleString("en-US");
