/** A sandbox process ended that nobody of the server ended. Its project says what came of that in its own streams. */
import type { Death } from "./activity.ts";

/** Recognised by name. */
export class SandboxEnd extends Error {
  override readonly name = "SandboxEnd";
  readonly project: string;
  readonly death: Death;
  /** The last that it said itself. */
  readonly said: string;

  constructor(project: string, death: Death, said: string) {
    super(`A sandbox process of ${project} ended (${death}).`);
    this.project = project;
    this.death = death;
    this.said = said;
  }
}

export function isSandboxEnd(error: unknown): error is SandboxEnd {
  return error instanceof Error && error.name === "SandboxEnd";
}
