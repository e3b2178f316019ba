/** What the two workers use of their runtime, and nothing else. */
declare module "cloudflare:workers" {
  export class WorkerEntrypoint<Props = unknown> {
    readonly ctx: { props: Props; exports: Record<string, (options: { props: unknown }) => unknown> };
    readonly env: Record<string, unknown>;
  }
  export class RpcTarget {}
}

declare module "processor.js" {
  const exports: Record<string, unknown>;
  export = exports;
}
