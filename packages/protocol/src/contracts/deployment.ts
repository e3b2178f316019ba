/** What is said of deployed code beside the code itself: the same whether it comes as one script or is bundled first. */
import { z } from "zod";
import { deployedCodeBytesMax, deployedMemoryMbMax, deployedMemoryMbMin } from "../limits.ts";
import { positive, startFrom, stringRecord, text } from "./fields.ts";

const expectedMemoryMb = `expected ${deployedMemoryMbMin} to ${deployedMemoryMbMax}`;
const memoryMb = z
  .number()
  .min(deployedMemoryMbMin, expectedMemoryMb)
  .max(deployedMemoryMbMax, expectedMemoryMb)
  .describe("MiB that the code may hold, in a process of its own.");

/** The talk's own way to give code an outgoing header. */
const outboundGateway = z.strictObject({
  entrypoint: z.literal("DynamicWorkerEgressGateway"),
  props: z
    .strictObject({ secretHeaderName: text.optional(), secretHeaderValue: text.optional() })
    .refine(
      (props) => (props.secretHeaderName === undefined) === (props.secretHeaderValue === undefined),
      "expected secretHeaderName and secretHeaderValue together, or neither",
    )
    .optional(),
});

type DeploymentField =
  | "env"
  | "startFrom"
  | "includeChildren"
  | "limits"
  | "compatibilityDate"
  | "compatibilityFlags"
  | "outboundGateway";

/** How it runs. */
export const deployment: Record<DeploymentField, z.ZodOptional<z.ZodType>> = {
  env: stringRecord.optional(),
  startFrom: startFrom.optional(),
  includeChildren: z.boolean().optional(),
  limits: z
    .strictObject({ cpuMs: positive.optional(), memoryMb: memoryMb.optional(), timeoutMs: positive.optional() })
    .optional(),
  compatibilityDate: z.iso.date("expected a date such as 2026-02-05").optional(),
  compatibilityFlags: z.array(z.string()).optional(),
  outboundGateway: outboundGateway.optional(),
};

export interface ContractFault {
  path: string[];
  message: string;
}

export function sizeFault(sources: string[]): ContractFault | undefined {
  const encoder = new TextEncoder();
  const bytes = sources.reduce((sum, source) => sum + encoder.encode(source).length, 0);
  if (bytes <= deployedCodeBytesMax) return undefined;
  return { path: [], message: `expected at most ${deployedCodeBytesMax} bytes of code, got ${bytes}` };
}
