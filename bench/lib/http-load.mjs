/** A process: HTTP appends in a closed loop. Its job comes as a message, its result goes back as one. */
import { drive } from "./drive.mjs";
import { httpRequests } from "./events.mjs";
import { openHttp } from "./http-connection.mjs";
import { serveJobs } from "./jobs.mjs";

serveJobs((job) =>
  drive(
    job,
    (onEnd, onClose) => openHttp(job.port, { onEnd, onClose }),
    httpRequests(job),
    (status) => job.goodStatuses.includes(status),
  ),
);
