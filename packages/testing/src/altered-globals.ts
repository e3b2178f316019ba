/**
 * The world as a reducer might see it, altered: a clock that is elsewhere and chance that falls otherwise. What of it
 * was asked for is noted. Only ever in place for the length of a synchronous call.
 */

export interface Alteration {
  /** What `Date.now` and `new Date` say. */
  readonly now: number;
  /** What `Math.random` says, again and again the next one. */
  random(): number;
  /** Hears which of them was asked. */
  onAsked(what: string): void;
}

export function withAlteredGlobals<Result>(alteration: Alteration, run: () => Result): Result {
  const { Date: RealDate, Math: math, performance: clock } = globalThis;
  const real = { random: math.random, now: clock.now };
  globalThis.Date = alteredDate(RealDate, alteration);
  math.random = () => {
    alteration.onAsked("Math.random()");
    return alteration.random();
  };
  clock.now = () => {
    alteration.onAsked("performance.now()");
    return alteration.now - clock.timeOrigin;
  };
  try {
    return run();
  } finally {
    globalThis.Date = RealDate;
    math.random = real.random;
    clock.now = real.now;
  }
}

function alteredDate(RealDate: DateConstructor, { now, onAsked }: Alteration): DateConstructor {
  const asked = (what: string) => {
    onAsked(what);
    return now;
  };
  return new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [asked("new Date()")] : args, newTarget) as Date,
    apply: () => new RealDate(asked("Date()")).toString(),
    get: (target, name, receiver) =>
      name === "now" ? () => asked("Date.now()") : (Reflect.get(target, name, receiver) as unknown),
  });
}
