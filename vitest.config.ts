import { defineConfig } from "vitest/config";

/**
 * Unit suites run in process; what starts servers, kills them or fills disks lies in `packages/millrace/test` and
 * `test/`, and runs the built files. Longer versions: `MILLRACE_LONG=1 npm test`.
 */
export default defineConfig({
  test: {
    include: ["packages/*/src/**/*.test.ts", "packages/*/test/**/*.test.ts", "test/**/*.test.ts"],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
  },
});
