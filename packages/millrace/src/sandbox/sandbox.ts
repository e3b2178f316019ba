/** The sandbox of a server: workerd, with a compiler before it and a gate behind it. */
import type { OutboundStreams, Secrets } from "@millrace/engine";
import { authorsLines, authorsText } from "./authors-lines.ts";
import { createCompiler } from "./compile.ts";
import { createEgressGate } from "./egress/egress-gate.ts";
import { createEgressRules, type EgressOptions } from "./egress/egress-rules.ts";
import { createWorkerdSandbox, type WorkerdSandbox, type WorkerdSandboxOptions } from "./workerd-sandbox.ts";

/** What a program that embeds the server may set. */
export type SandboxSettings = Pick<WorkerdSandboxOptions, "burning" | "ownMax">;

export interface SandboxNeeds {
  outbound: OutboundStreams;
  secrets: Pick<Secrets, "reveal" | "list">;
  egress?: EgressOptions;
  /** Under which the server is reached; read with each request, since it may not listen yet. */
  ownOrigins?: readonly string[];
  settings?: SandboxSettings;
  onFault(error: Error): void;
}

/** @throws Error when the rules of the operator are wrong */
export function createSandbox({
  outbound,
  secrets,
  egress,
  ownOrigins = [],
  settings,
  onFault,
}: SandboxNeeds): WorkerdSandbox {
  const compiler = createCompiler();
  const allowedIn = createEgressRules(egress);
  const sandbox = createWorkerdSandbox({
    ...settings,
    async compile({ modules, main }) {
      const { script, map } = await compiler.compile({ modules, main });
      const locateText = (text: string) => authorsText(text, map);
      return { script, locate: (error) => authorsLines(error, map), locateText };
    },
    listen: (project, socketPath, { callOf, fixedHeader }) =>
      createEgressGate({
        project,
        socketPath,
        outbound,
        secrets,
        ownOrigins,
        allowed: allowedIn(project),
        fixedHeader,
        attribution: {
          cause: (call, isolate = "") => callOf(isolate, Number(call))?.cause,
          refused: (call, message, isolate = "") => callOf(isolate, Number(call))?.calls.refused(message),
        },
        onFault: (error) => onFault(error as Error),
      }),
    onFault,
  });
  return {
    ...sandbox,
    get pids() {
      return sandbox.pids;
    },
    async close() {
      await sandbox.close();
      compiler.close();
    },
  };
}
