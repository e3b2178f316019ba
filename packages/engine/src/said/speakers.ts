/**
 * Who may say something more, and how much was left out. To be left out costs next to nothing, so that nobody else
 * feels an endless loop of lines.
 */
import type { Clock } from "../ports/clock.ts";
import { type Bucket, fullBucket, isFull, ofProject, ofSpeaker, take } from "./allowance.ts";
import { createForgetfulMap } from "./forgetful-map.ts";
import type { Speaking } from "./said.ts";

/** How long it has to be quiet before it is told what was left out, and when it is told in any case. */
const quietMs = 1_000;
const gapMs = 10_000;
/** Whose allowances are remembered. What one that is forgotten left out is never told. */
const speakersMax = 10_000;
const projectsMax = 1_000;

/** Lines that were left out, one behind the other. Until it is told of them, all that is said is left out. */
interface Gap {
  lines: number;
  /** Of the last of them. */
  speaking: Speaking;
  beganMs: number;
  lastMs: number;
  cancel(): void;
}

interface Speaker {
  bucket: Bucket;
  gap?: Gap;
}

export class Speakers {
  readonly #clock: Clock;
  readonly #tell: (speaking: Speaking, lines: number) => void;
  readonly #speakers = createForgetfulMap<Speaker>(
    speakersMax,
    ({ bucket, gap }) => gap === undefined && isFull(bucket, ofSpeaker, this.#clock.elapsedMs()),
    ({ gap }) => gap?.cancel(),
  );
  readonly #projects = createForgetfulMap<Bucket>(projectsMax, (bucket) =>
    isFull(bucket, ofProject, this.#clock.elapsedMs()),
  );

  /** @param tell hears how many lines were left out, once it is quiet, or after a while */
  constructor(clock: Clock, tell: (speaking: Speaking, lines: number) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** Whether this line is heard; if not, it is counted. */
  hears(speaking: Speaking): boolean {
    const { bucket, gap } = this.#speaker(speaking);
    const now = this.#clock.elapsedMs();
    if (gap === undefined && take(bucket, ofSpeaker, now) && this.#takeOfProject(speaking, now)) return true;
    this.leaveOut(speaking, 1);
    return false;
  }

  leaveOut(speaking: Speaking, lines: number): void {
    const speaker = this.#speaker(speaking);
    const now = this.#clock.elapsedMs();
    const gap = speaker.gap ?? { lines: 0, speaking, beganMs: now, lastMs: now, cancel: () => {} };
    gap.lines += lines;
    gap.speaking = speaking;
    gap.lastMs = now;
    if (speaker.gap === undefined) this.#look(speaker, gap);
    speaker.gap = gap;
  }

  /** Tells what was left out and is not told yet. */
  close(): void {
    for (const speaker of this.#speakers.values()) {
      if (speaker.gap !== undefined) this.#endGap(speaker, speaker.gap);
    }
  }

  /** One timer for a gap, however many lines fall into it. */
  #look(speaker: Speaker, gap: Gap): void {
    gap.cancel = this.#clock.setTimer(quietMs, () => {
      const now = this.#clock.elapsedMs();
      const isOver = now - gap.lastMs >= quietMs || now - gap.beganMs >= gapMs;
      if (isOver && this.#takeOfProject(gap.speaking, now)) this.#endGap(speaker, gap);
      else this.#look(speaker, gap);
    });
  }

  #endGap(speaker: Speaker, gap: Gap): void {
    gap.cancel();
    delete speaker.gap;
    this.#tell(gap.speaking, gap.lines);
  }

  #speaker({ project, path, slug }: Speaking): Speaker {
    const make = () => ({ bucket: fullBucket(ofSpeaker, this.#clock.elapsedMs()) });
    return this.#speakers.at(`${project} ${path} ${slug}`, make);
  }

  #takeOfProject({ project }: Speaking, now: number): boolean {
    return take(
      this.#projects.at(project, () => fullBucket(ofProject, now)),
      ofProject,
      now,
    );
  }
}
