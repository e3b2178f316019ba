/** A compiler's process. */
import { bundleModules } from "./bundle-modules.ts";
import { serveJobs } from "./serve-jobs.ts";

serveJobs(bundleModules);
