/** Expressions in processes: the suite of the port, and what only processes do: start, die, be replaced, be orphaned. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import type { Expressions, Rule } from "@millrace/engine";
import { describeExpressions } from "@millrace/testing";
import { createExpressions, type ExpressionsOptions } from "millrace";
import { afterEach, describe, expect, test } from "vitest";
import { evaluatorsOf, isAlive, processorTicks, textOf } from "./evaluators.ts";

const endless = "($again := function() { $again() }; $again())";
/** They end the whole process that evaluates them, where no deadline is before. */
const bombs = [
  "$sum([1..10000000].($*$))",
  "$pad('', 536000000, 'x') & 'y'",
  "$split($pad('', 100000000, 'xy'), 'x')",
  "[1..10000000] ~> $map(function($x) { { 'a': $x } })",
  "$uppercase($pad('', 256000000, 'x'))",
];
const tooMuch = "The expression needed more than 128 MB of memory.";
const patient = { timeoutMs: 60_000 };
const dist = new URL("../dist/index.js", import.meta.url).href;

const open: Expressions[] = [];
let faults: string[] = [];

function create(options: Partial<ExpressionsOptions> = {}): Expressions {
  const expressions = createExpressions({ timeoutMs: 100, onFault: (error) => faults.push(error.message), ...options });
  open.push(expressions);
  return expressions;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((expressions) => expressions.close()));
  expect(evaluatorsOf()).toEqual([]);
  expect(faults).toEqual([]);
});

function result(expressions: Expressions, transform: string, input: unknown = {}): Promise<string | undefined> {
  return expressions
    .evaluate({ transform }, JSON.stringify(input))
    .then((evaluated) => (evaluated.matched ? evaluated.result : "no match"));
}

/** What it says when it rejects, behind its reason. */
function refusal(expressions: Expressions, rule: Rule): Promise<string> {
  return expressions.evaluate(rule, "{}").then(
    (evaluated) => JSON.stringify(evaluated),
    ({ reason, message }) => `${reason}: ${message}`,
  );
}

function takeFaults(): string[] {
  const taken = faults;
  faults = [];
  return taken;
}

describe("the suite of the port", () => {
  const cases = describeExpressions(create, { stops: true });

  test.each(cases)("$name", ({ run }) => run());

  test("no case was left out", () => {
    expect(cases.length).toBe(17);
  });
});

describe("processes", () => {
  test("there is none before the first expression, and not more than there is work for", async () => {
    const expressions = create({ processes: 3 });
    expect(evaluatorsOf()).toEqual([]);
    for (let n = 0; n < 10; n++) expect(await result(expressions, `${n}`)).toBe(`${n}`);
    expect(evaluatorsOf()).toHaveLength(1);
    await Promise.all(Array.from({ length: 500 }, (_, n) => result(expressions, `${n}`)));
    expect(evaluatorsOf().length).toBeLessThanOrEqual(3);
    await expressions.close();
    expect(evaluatorsOf()).toEqual([]);
  });

  test("they have nothing of the server's environment", async () => {
    await result(create(), "1");
    const environment = textOf(evaluatorsOf()[0] as number, "environ")
      .split("\0")
      .filter(Boolean);
    expect(environment.filter((entry) => !entry.startsWith("NODE_CHANNEL_"))).toEqual([]);
  });

  test("one that is killed from outside is told of and replaced, and nothing is lost but what it worked on", async () => {
    const expressions = create({ ...patient, processes: 1 });
    await result(expressions, "1");
    const [first] = evaluatorsOf();
    const stopped = refusal(expressions, { transform: endless });
    // It has begun when its process uses time.
    await expect
      .poll(() => processorTicks(first as number), { interval: 10 })
      .toBeGreaterThan(processorTicks(first as number) + 5);
    const others = Promise.all(Array.from({ length: 50 }, (_, n) => result(expressions, `${n}`)));
    process.kill(first as number, "SIGKILL");
    expect(await stopped).toBe("stopped: The process that evaluated the expression ended by SIGKILL.");
    expect(await others).toEqual(Array.from({ length: 50 }, (_, n) => `${n}`));
    expect(evaluatorsOf()).not.toContain(first);
    expect(takeFaults()).toEqual(["A process that evaluates expressions ended by SIGKILL."]);
  });

  test("signals that a terminal or a service sends to all of them do not end them", async () => {
    const expressions = create();
    await result(expressions, "1");
    const before = evaluatorsOf();
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.kill(before[0] as number, signal);
    expect(await result(expressions, "2")).toBe("2");
    expect(evaluatorsOf()).toEqual(before);
  });

  test("where none can be started, that is said, and tried again", async () => {
    const expressions = create({ memoryMb: 1 });
    for (let round = 0; round < 2; round++) {
      expect(await refusal(expressions, { transform: "1" })).toMatch(/^stopped: .* could not be started: ended/);
      expect(takeFaults()).toHaveLength(1);
    }
  });
});

describe("the deadline", () => {
  test("is of time that is computed: a process that had to wait may go on", async () => {
    const expressions = create({ timeoutMs: 3_000, processes: 1 });
    await result(expressions, "1");
    const [id] = evaluatorsOf() as [number];
    const before = processorTicks(id);
    let answered = false;
    const answer = result(expressions, "$sum([1..400000].($ + $))").finally(() => {
      answered = true;
    });
    // Long enough for its watchdog to have seen it.
    await expect.poll(() => processorTicks(id), { interval: 1 }).toBeGreaterThan(before + 15);
    process.kill(id, "SIGSTOP");
    // Time itself is what is tested: there is nothing else to wait for.
    await new Promise((resolve) => setTimeout(resolve, 3_500));
    expect(answered).toBe(false);
    process.kill(id, "SIGCONT");
    expect(await answer).toBe("160000400000");
    expect(evaluatorsOf()).toEqual([id]);
  });

  test("others of the same batch, before and behind, are evaluated again in the next process", async () => {
    const expressions = create({ processes: 1 });
    const asked = Array.from({ length: 50 }, (_, n) =>
      n % 20 === 10 ? refusal(expressions, { matcher: endless }) : result(expressions, `${n}`),
    );
    const stopped = "stopped: The expression did not end within 100 ms.";
    expect(await Promise.all(asked)).toEqual(asked.map((_, n) => (n % 20 === 10 ? stopped : `${n}`)));
  });
});

describe("memory", () => {
  test("whoever asks for too much is told so", async () => {
    const expressions = create(patient);
    for (const transform of bombs) expect(await refusal(expressions, { transform })).toBe(`stopped: ${tooMuch}`);
  });

  test("neighbours in the same batch as a bomb, and those that wait, get their answers", async () => {
    const expressions = create({ ...patient, processes: 1 });
    const asked = Array.from({ length: 200 }, (_, n) =>
      n % 50 === 25 ? refusal(expressions, { transform: bombs[1] as string }) : result(expressions, `${n}`),
    );
    const expected = asked.map((_, n) => (n % 50 === 25 ? `stopped: ${tooMuch}` : `${n}`));
    expect(await Promise.all(asked)).toEqual(expected);
  });

  test("a result that is too large is not sent", async () => {
    const expressions = create({ ...patient, resultBytesMax: 1_000 });
    expect(await result(expressions, "$pad('', 998, 'x')")).toHaveLength(1_000);
    expect(await refusal(expressions, { transform: "$pad('', 499, 'é') & 'x'" })).toBe(
      "failed: The result of the transform has 1001 bytes; at most 1000 are allowed.",
    );
    expect(await refusal(create(patient), { transform: "$pad('', 50000000, 'x')" })).toMatch(
      /^failed: .*50000002 bytes/,
    );
  });
});

describe("expressions among themselves", () => {
  test("compiled ones are kept, but not without end", async () => {
    const expressions = create(patient);
    const long = (n: number) => `${"1 + ".repeat(3_000)}${n}`;
    for (let round = 0; round < 2; round++) {
      const short = await Promise.all(
        Array.from({ length: 1_500 }, (_, n) => result(expressions, `n + ${n}`, { n: 1 })),
      );
      expect(short).toEqual(Array.from(short, (_, n) => `${n + 1}`));
      for (let n = 0; n < 30; n++) expect(await result(expressions, long(n))).toBe(`${3_000 + n}`);
    }
  });

  test("20,000 from 100 callers, all right", async () => {
    const expressions = create(patient);
    let left = 20_000;
    const wrong: unknown[] = [];
    const call = async () => {
      while (left > 0) {
        const n = left--;
        const answer = await result(expressions, "{ 'n': n, 'twice': n * 2 }", { n });
        if (answer !== JSON.stringify({ n, twice: n * 2 })) wrong.push([n, answer]);
      }
    };
    await Promise.all(Array.from({ length: 100 }, call));
    expect(wrong).toEqual([]);
    expect(left).toBe(0);
  });

  const naked = "($f := function($x) { $x }; {} ~> |$f|{}, ['_jsonata_lambda']|; ";
  test.each([
    ["{} ~> |$sum|{ 'implementation': function($x) { 'poisoned' } }|"],
    ["{} ~> |$sum|{}, ['_jsonata_function']|"],
    ["{} ~> |$sum|{ 'signature': {} }|"],
    ["($g := $max ~> $sum; {} ~> |$g|{}, ['_jsonata_lambda']|; {} ~> |$g.body|{ 'type': 'number', 'value': 666 }|)"],
    [`${naked} {} ~> |$f.environment.global|{ 'note': 'for others' }|)`],
    [`${naked} {} ~> |$f.environment.base.RegexEngine|{ 'prototype': 1, 'note': 1 }|)`],
    [`${naked} {} ~> |$f.environment.lookup('sum')|{ 'implementation': 1 }|)`],
    ["$ ~> |$|{ '__proto__': { 'cups': 666 }, 'constructor': { 'prototype': { 'cups': 666 } } }|"],
    ["$ ~> |__proto__|{ 'cups': 666 }|"],
    ["$ ~> |constructor.prototype|{ 'cups': 666 }|"],
    ["$ ~> |$lookup($, '__proto__')|{ 'cups': 666 }|"],
    ["{ '__proto__': { 'cups': 666 }, 'sum': $sum := 666, 'x': $string := 666 }"],
  ])("the library stays as it is behind %s", async (transform) => {
    const expressions = create({ ...patient, processes: 1 });
    const probe =
      `[$sum([1, 2]), $map([1, 2], $sum), ($g := $reverse ~> $sum; $g([1, 2])), $exists(cups), $contains('ab', /b/),` +
      ` ${naked} $exists($f.environment.global.note)), $string({ 'a': 1 })]`;
    const before = await result(expressions, probe);
    expect(before).toBe('[3,1,2,3,false,true,false,"{\\"a\\":1}"]');
    await refusal(expressions, { transform });
    expect(await result(expressions, probe)).toBe(before);
    expect(evaluatorsOf()).toHaveLength(1);
  });

  test("every function of the library is known, so that it can be sealed", () => {
    const library = readFileSync(createRequire(import.meta.url).resolve("jsonata"), "utf8");
    const bound = [...library.matchAll(/staticFrame\.bind\('(\w+)'/g)].map(([, name]) => name as string);
    const source = readFileSync(new URL("../src/expressions/seal-library.ts", import.meta.url), "utf8");
    const names = [...(/functionNames =([^;]*);/.exec(source)?.[1] ?? "").matchAll(/\w+/g)].map(([name]) => name);
    expect(bound.length).toBeGreaterThan(60);
    expect([...new Set(names)].sort()).toEqual(bound.sort());
  });
});

describe("the program around them", () => {
  /** Prints the ids of its evaluators' parent, itself, when its first expression is answered. */
  function start(then: string) {
    const code = `
      import { createExpressions } from ${JSON.stringify(dist)};
      const expressions = createExpressions({ timeoutMs: 60_000, processes: 2 });
      await expressions.evaluate({ transform: "1" }, "{}");
      ${then}
      console.log("ready");`;
    return spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  }

  test("when it is killed, no process is left, not even one that computes", async () => {
    const program = start(`
      for (let n = 0; n < 2; n++) expressions.evaluate({ transform: ${JSON.stringify(endless)} }, "{}");`);
    const ended = new Promise((resolve) => program.once("exit", resolve));
    await new Promise((resolve) => createInterface({ input: program.stdout }).once("line", resolve));
    const id = program.pid as number;
    await expect
      .poll(() => evaluatorsOf(id).filter((child) => processorTicks(child) > 50).length, { timeout: 30_000 })
      .toBe(2);
    const children = evaluatorsOf(id);
    program.kill("SIGKILL");
    await ended;
    await expect.poll(() => children.filter(isAlive), { timeout: 10_000 }).toEqual([]);
  });

  test("when it is killed while all are idle, no process is left", async () => {
    const program = start("setInterval(() => {}, 1_000_000);");
    await new Promise((resolve) => createInterface({ input: program.stdout }).once("line", resolve));
    const children = evaluatorsOf(program.pid as number);
    expect(children).toHaveLength(1);
    program.kill("SIGKILL");
    await expect.poll(() => children.filter(isAlive), { timeout: 10_000 }).toEqual([]);
  });

  test("where it may open no more files, that is said, and does not end it", async () => {
    const code = `
      import { openSync } from "node:fs";
      import { createExpressions } from ${JSON.stringify(dist)};
      const expressions = createExpressions({ timeoutMs: 100 });
      try { for (;;) openSync("/dev/null"); } catch {}
      await expressions.evaluate({ transform: "1" }, "{}").catch(({ reason, message }) => console.log(reason, message));`;
    const line = `ulimit -n 512 && exec "$0" --input-type=module -e "$1"`;
    const program = spawn("/bin/sh", ["-c", line, process.execPath, code], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    program.stdout.on("data", (text) => {
      said += text;
    });
    expect(await new Promise((resolve) => program.once("close", resolve))).toBe(0);
    expect(said).toMatch(/^stopped .* could not be started: spawn .* EMFILE/);
  });

  test("idle processes do not keep it from ending", async () => {
    const program = start("");
    expect(await new Promise((resolve) => program.once("exit", resolve))).toBe(0);
  });
});
