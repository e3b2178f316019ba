/** What the consumers of a stream in the engine need from it, beyond what one of them needs anywhere. */
import type { DeliveryHouse } from "@millrace/protocol";
import type { ConsumerPlace, Fact } from "./spec.ts";

export interface ConsumerHouse extends DeliveryHouse, ConsumerPlace {
  readonly meter: ConsumerPlace["meter"];
  append: ConsumerPlace["append"];
  state(fact: Fact): Promise<void>;
  /** Whether what is committed is to be kept in memory for a while, because somebody acts on it. */
  follow(following: boolean): void;
  /** What was asked for by `saveSoon` is due, if it is. */
  called(now: number): void;
  /** Nothing waits to be saved. */
  readonly settled: boolean;
}
