/**
 * A process: XADD in a closed loop over RESP. Every reply is one id as a bulk string (two lines) or an error (one line
 * that begins with "-"), so counting lines frames them.
 */
import { drive } from "./drive.mjs";
import { redisRequests } from "./events.mjs";
import { openSocket } from "./http-connection.mjs";
import { serveJobs } from "./jobs.mjs";

const newline = 10;
const minus = 45;
const good = 200;
const refused = 500;

serveJobs((job) => drive(job, (onAnswer, onClose) => openRedis(job, onAnswer, onClose), redisRequests(job), isGood));

function isGood(status) {
  return status === good;
}

function openRedis({ port, batch = 1 }, onAnswer, onClose) {
  let linesLeft = 2 * batch;
  let atLineStart = true;
  let failed = false;
  function onBytes(buffer, length) {
    for (let at = 0; at < length; ) {
      if (atLineStart && buffer[at] === minus) {
        failed = true;
        linesLeft--; // an error has no second line
      }
      const end = buffer.indexOf(newline, at);
      atLineStart = end !== -1 && end < length;
      if (!atLineStart) return;
      at = end + 1;
      if (--linesLeft === 0) {
        const status = failed ? refused : good;
        linesLeft = 2 * batch;
        failed = false;
        onAnswer(status);
      }
    }
  }
  return openSocket(port, onBytes, onClose);
}
