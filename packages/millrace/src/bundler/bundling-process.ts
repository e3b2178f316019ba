/** A bundler's process. */
import { serveJobs } from "../sandbox/compile/serve-jobs.ts";
import { bundleSource } from "./bundle-source.ts";

serveJobs(bundleSource);
