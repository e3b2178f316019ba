/** Code may take as long as it likes to load: a module may wait at its top level for ever, and a host for anything. */
import { unavailable } from "../unavailable.ts";

/** Rejects once nobody waits any more; what is loaded behind that is closed. */
export function unlessLeft<Loaded extends { close?(): void }>(
  loading: Promise<Loaded>,
  left: AbortSignal | undefined,
): Promise<Loaded> {
  if (left === undefined) return loading;
  return new Promise((resolve, reject) => {
    const leave = () => {
      reject(unavailable("Nobody waits for this any more."));
      loading.then((loaded) => loaded.close?.()).catch(() => {});
    };
    left.addEventListener("abort", leave, { once: true });
    if (left.aborted) leave();
    loading.then(resolve, reject).finally(() => left.removeEventListener("abort", leave));
  });
}
