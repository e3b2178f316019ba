/** The files of `examples/hosts` as programs, and a stream that is subscribed to what they offer. */
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import type { StreamEvent } from "@millrace/sdk/processor";
import { createEventsClient } from "@millrace/sdk/processor";
import { append, builtin, follow, readAll } from "../../processes/http.ts";
import { spawnProgram, whenListening } from "../../processes/server-process.ts";

export const signingSecret = `whsec_${randomBytes(24).toString("base64")}`;
export const hostFile = (name: string): string =>
  fileURLToPath(new URL(`../../../examples/hosts/${name}`, import.meta.url));

export interface Host {
  url: string;
  stop(): Promise<unknown>;
}

/** @param program `node`, or another one that runs JavaScript */
export async function startHost(program: string, name: string, serverUrl: string): Promise<Host> {
  const settings = { MILLRACE_URL: serverUrl, SIGNING_SECRET: signingSecret, PORT: "0" };
  const { url, stop } = await whenListening(spawnProgram(program, [hostFile(name)], settings));
  return { url, stop: () => stop("SIGTERM") };
}

export async function subscribe(serverUrl: string, path: string, type: string, callbackUrl: string): Promise<void> {
  const name = `SIGNING_${path.replaceAll(/\W/g, "_")}`;
  const { origin } = new URL(callbackUrl);
  await createEventsClient({ baseUrl: serverUrl }).secrets.set({ name, value: signingSecret, hosts: [origin] });
  const payload = { slug: "pong", type, callbackUrl, signingSecret: `{{secret:${name}}}` };
  await append(serverUrl, path, { type: builtin("subscription/configured"), payload });
}

/** Appends so many pings, and waits for as many more pongs. */
export async function pongsOf(serverUrl: string, path: string, pings: object[]): Promise<StreamEvent[]> {
  const pongs = async () => (await readAll(serverUrl, path)).filter(({ type }) => type === "pong");
  let awaited = (await pongs()).length + pings.length;
  await append(
    serverUrl,
    path,
    pings.map((payload) => ({ type: "ping", payload })),
  );
  await follow(serverUrl, path, "&type=pong", () => --awaited <= 0, 60_000);
  return pongs();
}
