/** Ctrl-C and SIGTERM: the first one asks for a clean end, a second one ends at once. */
const codes = { SIGINT: 130, SIGTERM: 0 } as const;

/** Resolves with the exit code. */
export function stopSignal(): Promise<number> {
  let asked = false;
  return new Promise((resolve) => {
    for (const [signal, code] of Object.entries(codes)) {
      process.on(signal, () => {
        if (asked) process.exit(code === 0 ? 1 : code);
        asked = true;
        resolve(code);
      });
    }
  });
}
