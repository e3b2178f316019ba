/** One connection on which requests are sent, one behind the other or several at once, and answered in order. */
import type { SeededRandom } from "@millrace/testing";
import { type Connection, open } from "../serve/sockets.ts";
import { type Answer, answerAt, expectAnswer } from "./answers.ts";
import { encode, torn, type WireRequest } from "./wire-request.ts";

export interface Figures {
  /** How many answers there were of each status. */
  statuses: Map<number, number>;
  /** Complete requests that were sent, of all kinds. */
  sent: number;
  /** How often each kind of conversation took place. */
  conversations: Record<Conversation, number>;
}

export type Conversation =
  | "talk"
  | "pipeline"
  | "live"
  | "rubbish"
  | "mangled"
  | "left"
  | "peek"
  | "cut"
  | "reset"
  | "silent";

export function noFigures(): Figures {
  const conversations = { talk: 0, pipeline: 0, live: 0, rubbish: 0, mangled: 0, left: 0, peek: 0, cut: 0, reset: 0 };
  return { statuses: new Map(), sent: 0, conversations: { ...conversations, silent: 0 } };
}

export interface Talk {
  /** Sends all in one write, or torn; an answer is undefined where the connection was closed instead. */
  ask(requests: WireRequest[], random: SeededRandom): Promise<(Answer | undefined)[]>;
  /** Nothing more can be asked: the server has ended the connection, or said that it will. */
  over(): boolean;
  leave(): void;
}

export async function startTalk(port: number, figures: Figures): Promise<Talk> {
  const connection = await open(port);
  connection.socket.setNoDelay(true);
  let at = 0;
  let isOver = false;

  return {
    async ask(requests, random) {
      await send(connection, Buffer.concat(requests.map((request) => encode(request, random))), random);
      figures.sent += requests.length;
      const answers: (Answer | undefined)[] = [];
      for (const { method } of requests) {
        const found = isOver ? undefined : await nextAnswer(connection, at, method).catch(fail(requests, answers));
        if (found === undefined) isOver = true;
        else at = found.end;
        if (found?.answer.headers.get("connection")?.toLowerCase() === "close") isOver = true;
        try {
          if (found !== undefined) count(found.answer, method, figures);
        } catch (error) {
          fail(requests, answers)(error as Error);
        }
        answers.push(found?.answer);
      }
      return answers;
    },
    over: () => isOver,
    leave: () => connection.socket.destroy(),
  };
}

/** A failure that says what was asked. */
function fail(requests: WireRequest[], answers: unknown[]): (error: Error) => never {
  return (error) => {
    const asked = requests.map(({ body, ...request }) => ({ ...request, body: body && Buffer.from(body).toString() }));
    const all = JSON.stringify(asked).slice(0, 10_000);
    throw new Error(`answer ${answers.length}: ${error.message}\nrequests: ${all}`, { cause: error });
  };
}

export function count(answer: Answer, method: string, { statuses }: Figures): void {
  expectAnswer(answer, method);
  statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
}

async function send(connection: Connection, bytes: Buffer, random: SeededRandom): Promise<void> {
  for (const piece of torn(bytes, random)) {
    connection.socket.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The next answer that is final; undefined when the connection was closed instead. */
async function nextAnswer(
  connection: Connection,
  start: number,
  method: string,
): Promise<{ answer: Answer; end: number } | undefined> {
  let at = start;
  let found: { answer: Answer; end: number } | undefined;
  await connection.until((text, ended) => {
    do {
      found = answerAt(text, at, method);
      at = found?.end ?? at;
    } while (found?.answer.status === 100);
    return found !== undefined || ended;
  });
  return found;
}
