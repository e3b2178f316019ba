/**
 * Values that are written and never read back by anybody outside: they leave only towards the hosts to which they are
 * pinned. Each project has its own.
 */
import type { SecretInput, SecretNote } from "@millrace/protocol";

export interface Secrets {
  /** Stores it, or replaces the one of this name whole. Resolves when it is on disk. */
  set(project: string, secret: SecretInput): Promise<SecretNote>;
  /** By name. */
  list(project: string): Promise<SecretNote[]>;
  /** False when there was none. */
  remove(project: string, name: string): Promise<boolean>;
  /** The value, to be sent to this URL and to nowhere else. Rejects with SecretError. */
  reveal(project: string, name: string, url: string): Promise<string>;
  /** 32 bytes that only this server can make, always the same for the same purpose. */
  derive(purpose: readonly string[]): Promise<Uint8Array>;
}

/** A secret that cannot be used here. Recognised by name. The message says why, and never holds a value. */
export class SecretError extends Error {
  override readonly name = "SecretError";
}

export function isSecretError(error: unknown): error is SecretError {
  return error instanceof Error && error.name === "SecretError";
}
