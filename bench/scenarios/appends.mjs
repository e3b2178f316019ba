/** Appends in a closed loop, Millrace beside its peers: one event for each POST, and batches of 1,000. */
import { appends, refuseErrors, streamNames } from "../lib/appends.mjs";
import { missing, startDurableStreams, startEcho, startRedis } from "../lib/contenders.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const rate = { what: "events/s", unit: "/s", of: (result) => result.eventsPerSecond };
const latency = { what: "p50 latency", unit: "ms", of: (result) => result.latency.p50 };

export const appendScenarios = [
  {
    name: "appends-32",
    what: "single events over 100 streams, 32 connections",
    load: { streams: 100, connections: 32 },
    measured: rate,
    peers: [{ start: startDurableStreams, target: { ratioAtLeast: 8 } }, { start: startRedis }],
  },
  {
    name: "appends-128",
    what: "single events over 100 streams, 128 connections",
    load: { streams: 100, connections: 128 },
    measured: rate,
    peers: [{ start: startEcho, target: { ratioAtLeast: 0.5 } }, { start: startRedis }],
  },
  {
    name: "one-stream",
    what: "single events to one stream, 128 connections",
    load: { streams: 1, connections: 128 },
    measured: rate,
    peers: [{ start: startEcho, target: { ratioAtLeast: 0.5 } }, { start: startRedis }],
  },
  {
    name: "one-connection",
    what: "single events to one stream, one connection: what one caller waits",
    load: { streams: 1, connections: 1 },
    measured: latency,
    target: { atMost: 0.6 },
    peers: [{ start: startEcho }, { start: startRedis }, { start: startDurableStreams }],
  },
  {
    name: "batches",
    what: "batches of 1,000 events to 4 streams, 4 connections",
    load: { streams: 4, connections: 4, batch: 1_000 },
    measured: rate,
    target: { atLeast: 150_000 },
    peers: [{ start: startRedis }, { start: startDurableStreams }],
  },
].map((scenario) => ({ ...scenario, run: (tools) => compare(scenario, tools) }));

async function compare({ name, load, measured, target, peers }, tools) {
  const streams = streamNames(name, load.streams);
  const taking = peers.filter(({ start }) => takesPart(start, tools));
  const contenders = [await tools.startMillrace()];
  for (const { start } of taking) contenders.push(await start(tools.directory));
  for (const contender of contenders) await contender.prepare(streams);

  const nameOf = (contender) => contender.name;
  const plan = { rounds: tools.rounds, contenders, nameOf, progress: tools.progress };
  const results = await interleave(plan, async (contender) => {
    const { warmupMs, windowMs } = tools;
    const result = await appends(contender, { ...load, streams, warmupMs, windowMs });
    if (contender.name !== "durable-streams") refuseErrors(result); // its false 404s are known, and reported
    return result;
  });
  const own = target === undefined ? [] : [alone(measured, results[0], target)];
  return {
    rows: [...own, ...taking.map((peer, index) => beside(measured, results[0], results[index + 1], peer))],
    raw: results,
  };
}

function takesPart(start, tools) {
  const why = missing(start);
  if (why !== null) tools.progress(why);
  return why === null;
}

function alone({ what, unit, of }, own, target) {
  return row({ what, value: median(own.map(of)), unit, target });
}

function beside({ what, unit, of }, own, others, { target }) {
  const value = median(own.map(of));
  const peerValue = median(others.map(of));
  const wrong = others.flatMap((result) => result.wrong);
  const peer = others[0].contender;
  const note = wrong.length === 0 ? undefined : `${peer} gave wrong answers, not counted: ${wrong.join(", ")}`;
  return row({ what, value, unit, peer, peerValue, target, note });
}
