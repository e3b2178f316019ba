/**
 * From files and the names of packages to code that a sandbox can load. Where packages may come from, and how large all
 * of it may be, is the adapter's rule. Nothing of what it reads is ever executed: neither files nor packages nor scripts.
 */
import type { JsonObject } from "@millrace/protocol";

export interface BundlerInput {
  files: Readonly<Record<string, string>>;
  main: string;
  packageJson: JsonObject;
}

/** One thing to repair. Lines and columns count from 1. */
export interface BundleProblem {
  text: string;
  file?: string;
  line?: number;
  column?: number;
}

/** `fault` is for the author, whoever that is: all that has to be known to repair it. */
export type Bundled = { modules: Record<string, string> } | { fault: string; problems?: readonly BundleProblem[] };

export interface Bundler {
  /** Rejects when nothing can be said now, as with a registry that does not answer: then it is asked again. */
  bundle(input: BundlerInput, signal: AbortSignal): Promise<Bundled>;
  /** Ends what runs. */
  close(): Promise<void>;
}
