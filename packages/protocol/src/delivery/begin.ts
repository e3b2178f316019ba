/** How a consumer begins: its driver, from what is on disk of it and from where its stream stands. */
import { type Driver, startDriver } from "../driver.ts";
import type { DeliveryHouse } from "./house.ts";
import { isLeftOut, overHead, type Start, startFrom, versionOf } from "./progress-row.ts";
import type { Beginning, ConsumerSpec, DeliveryKind } from "./spec.ts";

export interface Begun {
  start: Start;
  driver: Driver;
  /** What lies up to here is missed, where it was not acted on before; what comes while the code is loaded is not. */
  missedThrough: number;
}

export function begin(kind: DeliveryKind, spec: ConsumerSpec, house: DeliveryHouse, from: Beginning): Begun {
  const { start, progress, isAtRest } = startFrom(spec, from.row);
  const head = house.head();
  const misses = kind.misses === true && start !== "first";
  const rests = from.resting && isAtRest;
  const isNewlyLeftOut = isLeftOut(spec) && start !== "first" && !isLeftOut(versionOf(from.row as string));
  const driver = startDriver(
    { misses, decides: false, failuresMax: kind.failuresMax },
    { start, progress: rests ? overHead(progress, head) : progress, head, folded: 0, now: house.clock.now() },
  );
  return { start, driver: isNewlyLeftOut ? { ...driver, dirty: true } : driver, missedThrough: misses ? head : 0 };
}
