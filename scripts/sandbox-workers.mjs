/** Bundles the workers that stand beside deployed code, so that the first deploy need not wait for it. Part of the build. */
import { workerModules } from "../packages/millrace/dist/sandbox/worker-modules.js";

await workerModules();
