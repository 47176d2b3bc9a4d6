import { assert, assertEquals, assertMatch, assertStringIncludes } from "../../deps/std_assert.ts";
import { eventually, isRunning, Program } from "./program.ts";

/** Runs the demo without `deno task`, so that signals reach its process. */
function demo(...args: string[]): Program {
  const permissions = [
    "--allow-net=127.0.0.1",
    `--allow-run=${Deno.execPath()}`,
    "--allow-sys=loadavg,systemMemoryInfo",
  ];
  return new Program({ args: ["run", "--no-prompt", ...permissions, "examples/demo.ts", ...args] });
}

/** The process ids in the demo's output so far. */
function pidsIn(program: Program): number[] {
  return program.lines.flatMap((line) => /\(process (\d+)\)/.exec(line)?.slice(1) ?? []).map(Number);
}

/** Asserts that all processes end soon. Kills the others, so that a failure leaves no process behind. */
async function assertAllGone(pids: readonly number[]): Promise<void> {
  try {
    for (const pid of pids) {
      await eventually(`process ${pid} is gone`, async () => !await isRunning(pid), { withinMs: 5_000 });
    }
  } catch (error) {
    for (const pid of pids) if (await isRunning(pid)) Deno.kill(pid, "SIGKILL");
    throw error;
  }
}

Deno.test("demo: prints joining, convergence, a roll-out, a crash and a departure (R6.3, R9.2, R10.3, R11.3)", async () => {
  const started = performance.now();
  await using program = new Program({ args: ["task", "demo"] });
  const { code } = await program.ended({ withinMs: 30_000 });
  assertEquals(code, 0, program.errors);
  assert(performance.now() - started < 30_000);
  const text = program.lines.join("\n");
  assert(!text.includes("\x1b"), "The output has colors although it is no terminal.");
  const story = [
    /a round every 100 ms with 4 peers/,
    /ada +listens on ws:\/\/127\.0\.0\.1:\d+/,
    /joined in \d+ ms/,
    /every member sees all 5/,
    /convergence: all 5 members have the same 10 values/,
    /consensus: each of the 5 members reports that all have version 1\.0\.0/,
    /■□□□□ +ada +has 2\.0\.0/,
    /■■■■■ +eve +has 2\.0\.0/,
    /all 5 members report consensus on 2\.0\.0/,
    /eve is killed \(SIGKILL\)/,
    /ada, ben, cleo and dan have blocked it, /,
    /dan receives SIGTERM/,
    /known as left by ada after \d+ ms, by ben after \d+ ms, by cleo after \d+ ms/,
    /acknowledged by 3 of 3 members/,
    /its process ended [\d.]+ m?s after the last of them/,
    /^ +ada .* running .* 2\.0\.0 .*● +● +● +○ +×/,
    /all 5 processes have ended/,
  ];
  assertInOrder(program.lines, story);
  assertTimesRise(program.lines);
  assertEquals(new Set(pidsIn(program)).size, 5);
  await assertAllGone(pidsIn(program));
});

Deno.test("demo: leaves no process behind after SIGKILL", async () => {
  await using program = demo();
  await program.until(/convergence/);
  const pids = pidsIn(program);
  assertEquals(pids.length, 5);
  for (const pid of pids) assert(await isRunning(pid));
  program.kill("SIGKILL");
  // `ended()` would wait for the output, which the children keep open.
  assertEquals((await program.status).signal, "SIGKILL");
  await assertAllGone(pids);
});

Deno.test("demo: a failed step prints its name, its time limit and the state", async () => {
  await using program = demo("--bound-ms", "1");
  assertEquals((await program.ended()).code, 1);
  assertStringIncludes(
    program.errors,
    '"The seed listens" did not become true within 1 ms. Seen: its process has not',
  );
  assert(!program.lines.some((line) => line.includes("listens")));
});

Deno.test("demo: ends its processes before itself after a failure", async () => {
  // 900 ms: enough for all steps before the crash, which is confirmed only after a second.
  await using program = demo("--bound-ms", "900");
  assertEquals((await program.ended()).code, 1);
  assertMatch(program.errors, /"[^"]+" did not become true within 900 ms\. Seen: .+\./);
  for (const pid of pidsIn(program)) assert(!await isRunning(pid));
});

Deno.test("demo: refuses a time limit that is not a number", async () => {
  await using program = demo("--bound-ms", "soon");
  assertEquals((await program.ended()).code, 2);
  assertStringIncludes(program.errors, '--bound-ms must be an integer from 1 to 60000; got "soon".');
});

/** Asserts that the patterns match lines in this order. */
function assertInOrder(lines: readonly string[], patterns: readonly RegExp[]): void {
  let from = 0;
  for (const pattern of patterns) {
    const found = lines.findIndex((line, index) => index >= from && pattern.test(line));
    assert(found >= 0, `${pattern} matches no line from line ${from} on:\n${lines.join("\n")}`);
    from = found + 1;
  }
}

/** Asserts that at least 15 lines have a time, and that the times rise. */
function assertTimesRise(lines: readonly string[]): void {
  const times = lines.flatMap((line) => /^ *\+(\d+\.\d{3}) s +/.exec(line)?.slice(1) ?? []).map(Number);
  assert(times.length >= 15, `${times.length} lines have a time.`);
  assertEquals(times, times.toSorted((one, other) => one - other));
}
