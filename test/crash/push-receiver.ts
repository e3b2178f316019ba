/**
 * The receiver of webhooks that outlives every crash of the server. It answers 500, closes or is late now and then, and
 * judges each delivery as it arrives: its signature, and that a repeat is what came first.
 */
import type { ReceivedRequest, Receiver, ReceiverAnswer, SeededRandom } from "@millrace/testing";
import { Webhook } from "standardwebhooks";

/** The event of this delivery is not taken, so that it has to come again. Once for each, or it would wait for long. */
const misbehaviours = ["refuses", "closes", "late"] as const;
const misbehavesIn = 12;
/** Of all deliveries: so that a kill finds some under way. */
const slowIn = 6;
const slowMs = 100;
export const timeoutSeconds = 1;

export interface Arrival {
  id: string;
  offset: number;
  /** What lies between this offset and its own was delivered before, the server says. */
  after: number;
  body: string;
  /** Answered with 200, and in time. */
  taken: boolean;
}

export interface PushReceiver {
  receive: Receiver;
  /** What came for the lane, in order, repeats too. */
  arrivals(lane: string): readonly Arrival[];
  /** The server made a secret for this lane, and showed it once. */
  trust(lane: string, secret: string): void;
  /** Throws the first fault that was found. */
  judge(): void;
  misbehaved(): number;
}

export function createPushReceiver(random: SeededRandom): PushReceiver {
  const arrivals = new Map<string, Arrival[]>();
  const secrets = new Map<string, string>();
  const firstBodies = new Map<string, string>();
  const misbehavedAt = new Set<string>();
  const faults: string[] = [];

  /** Throws when it is not what it claims to be. */
  function arrivalOf(lane: string, { headers, body }: ReceivedRequest): Omit<Arrival, "taken"> {
    new Webhook(secrets.get(lane) as string).verify(body, headers as Record<string, string>);
    const id = headers["webhook-id"] as string;
    const { offset } = JSON.parse(body) as { offset: number };
    const first = firstBodies.get(id) ?? body;
    firstBodies.set(id, first);
    if (first !== body) throw new Error(`came as ${first} and then as ${body}`);
    return { id, offset, after: Number(headers["millrace-after"]), body };
  }

  function misbehaviourAt(id: string): ReceiverAnswer | undefined {
    if (misbehavedAt.has(id) || random.integer(misbehavesIn) !== 0) return undefined;
    misbehavedAt.add(id);
    const misbehaviour = random.pick(misbehaviours);
    if (misbehaviour === "refuses") return { status: 500, body: "not now" };
    return misbehaviour === "closes" ? "closes" : { status: 200, afterMs: timeoutSeconds * 2_000 };
  }

  return {
    receive(request) {
      const lane = new URL(request.url).pathname;
      try {
        const arrival = arrivalOf(lane, request);
        const misbehaviour = misbehaviourAt(arrival.id);
        arrivals.set(lane, [...(arrivals.get(lane) ?? []), { ...arrival, taken: misbehaviour === undefined }]);
        return misbehaviour ?? { status: 200, afterMs: random.integer(slowIn) === 0 ? random.integer(slowMs) : 0 };
      } catch (error) {
        faults.push(`a delivery to ${lane} ${JSON.stringify(request)}: ${(error as Error).message}`);
        return { status: 200 };
      }
    },
    arrivals: (lane) => arrivals.get(lane) ?? [],
    trust: (lane, secret) => void secrets.set(lane, secret),
    judge() {
      if (faults.length > 0) throw new Error(`${faults.length} deliveries were wrong, first ${faults[0]}`);
    },
    misbehaved: () => misbehavedAt.size,
  };
}
