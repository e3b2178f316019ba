/** The server against a model, and against anything at all. CONTRIBUTING.md says how to run the long form. */
import { expect, test } from "vitest";
import { append, readAll } from "../processes/http.ts";
import { startServer, temporaryDirectory } from "../processes/server-process.ts";
import { type FuzzResult, fuzz } from "./fuzz.ts";

const requests = Number(process.env.MILLRACE_FUZZ_REQUESTS ?? 8_000);
const seed = Number(process.env.MILLRACE_FUZZ_SEED ?? Date.now() % 1_000_000);
const isLong = requests >= 20_000;

/**
 * So little heap that the server lives only if it gives back what it takes: left to itself, Node lets garbage pile up
 * for as long as there is memory, and whether something leaks could not be seen. It needs about 30.
 */
const heapMebibytes = 64;
/** What there is beside the heap (code, young garbage of three threads, buffers of bodies, SQLite's cache) is bounded. */
const residentMebibytesMax = 256;

test(
  `${requests} requests: the log as in the model, no fault, no leak (seed ${seed})`,
  async () => {
    const { directory, remove } = temporaryDirectory();
    const server = await startServer({
      data: directory,
      env: { NODE_OPTIONS: `--max-old-space-size=${heapMebibytes}` },
    });
    try {
      // What the server opens once, such as its readers of the log, is open when the descriptors are counted.
      await append(server.url, "/warm", { type: "a" }, { "x-project-slug": "lanes-warm" });
      await readAll(server.url, "/warm", "lanes-warm");
      const result = await fuzz({ server, requests, seed, patient: isLong });
      console.log(JSON.stringify({ ...result, statuses: Object.fromEntries(result.statuses) }));
      expectNoLeak(result);
      // A run in which nothing was accepted, or nothing refused, would prove nothing.
      for (const status of [200, 400, 409, 412, 423]) {
        expect(result.statuses.get(status) ?? 0, `answers ${status}`).toBeGreaterThan(requests / 500);
      }
      for (const [kind, times] of Object.entries(result.conversations)) {
        expect(times, `conversations: ${kind}`).toBeGreaterThan(requests / 10_000);
      }
      const { code, stderr } = await server.stop("SIGTERM");
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    } catch (error) {
      const again = `MILLRACE_FUZZ_SEED=${seed} MILLRACE_FUZZ_REQUESTS=${requests} npx vitest run test/fuzz`;
      throw new Error(`${(error as Error).message}\nThe same choices again: ${again}`, { cause: error });
    } finally {
      await server.kill();
      remove();
    }
  },
  requests * 20 + 120_000,
);

/** Where the system has no /proc, all of these are 0, and only the small heap speaks. */
function expectNoLeak({ memory, descriptors }: FuzzResult): void {
  expect(memory.after).toBeLessThan(residentMebibytesMax * 1024 * 1024);
  expect(descriptors.after).toBeLessThanOrEqual(descriptors.before);
}
