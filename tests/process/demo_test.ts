import { assert, assertEquals, assertMatch, assertStringIncludes } from "../../deps/std_assert.ts";
import { eventually, isRunning, Program } from "./program.ts";

/** The demo by itself, without `deno task` before it, so that its process is the one that is signalled. */
function demo(...args: string[]): Program {
  const permissions = [
    "--allow-net=127.0.0.1",
    `--allow-run=${Deno.execPath()}`,
    "--allow-sys=loadavg,systemMemoryInfo",
  ];
  return new Program({ args: ["run", "--no-prompt", ...permissions, "examples/demo.ts", ...args] });
}

/** The processes of the members that the demo has named so far. */
function pidsIn(program: Program): number[] {
  return program.lines.flatMap((line) => /\(process (\d+)\)/.exec(line)?.slice(1) ?? []).map(Number);
}

/** Asserts that no process runs any more, soon; those that do are ended, so that a failure leaves nothing behind. */
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

Deno.test("R6.3 R9.2 R10.3 R11.3 deno task demo tells of joining, agreement, a roll-out, a crash and a departure", async () => {
  const started = performance.now();
  await using program = new Program({ args: ["task", "demo"] });
  const { code } = await program.ended({ withinMs: 30_000 });
  assertEquals(code, 0, program.errors);
  assert(performance.now() - started < 30_000);
  const text = program.lines.join("\n");
  assert(!text.includes("\x1b"), "There are colours in what is not written to a terminal.");
  const story = [
    /a round every 100 ms with 4 peers/,
    /ada +listens on ws:\/\/127\.0\.0\.1:\d+/,
    /joined in \d+ ms/,
    /everyone sees everyone/,
    /everyone agrees: all 5 hold the same 10 values/,
    /consensus: each of the 5 says that all have version 1\.0\.0/,
    /■□□□□ +ada +has 2\.0\.0/,
    /■■■■■ +eve +has 2\.0\.0/,
    /consensus on 2\.0\.0, as each of the 5 says/,
    /eve is killed \(SIGKILL\)/,
    /ada, ben, cleo and dan have blocked it, /,
    /dan is asked to end \(SIGTERM\)/,
    /known as left by ada after \d+ ms, by ben after \d+ ms, by cleo after \d+ ms/,
    /when 3 of 3 had acknowledged that/,
    /only then its process ended/,
    /^ +ada .* running .* 2\.0\.0 .*● +● +● +○ +×/,
    /all 5 processes are gone/,
  ];
  assertInOrder(program.lines, story);
  assertTimesRise(program.lines);
  assertEquals(new Set(pidsIn(program)).size, 5);
  await assertAllGone(pidsIn(program));
});

Deno.test("a demo killed with SIGKILL half-way leaves no process behind", async () => {
  await using program = demo();
  await program.until(/everyone agrees/);
  const pids = pidsIn(program);
  assertEquals(pids.length, 5);
  for (const pid of pids) assert(await isRunning(pid));
  program.kill("SIGKILL");
  // Not until its output ends: that is held by its children too.
  assertEquals((await program.status).signal, "SIGKILL");
  await assertAllGone(pids);
});

Deno.test("a step of the demo that does not come true names itself, its bound and what was seen", async () => {
  await using program = demo("--bound-ms", "1");
  assertEquals((await program.ended()).code, 1);
  assertStringIncludes(
    program.errors,
    '"The seed listens" did not come true within 1 ms. Seen: its process has not',
  );
  assert(!program.lines.some((line) => line.includes("listens")));
});

Deno.test("a demo that fails on the way ends its processes before itself", async () => {
  // A crash is confirmed after a second: this bound is met by all steps before it, where the machine is not too busy.
  await using program = demo("--bound-ms", "900");
  assertEquals((await program.ended()).code, 1);
  assertMatch(program.errors, /"[^"]+" did not come true within 900 ms\. Seen: .+\./);
  for (const pid of pidsIn(program)) assert(!await isRunning(pid));
});

Deno.test("the demo refuses a bound that is no number", async () => {
  await using program = demo("--bound-ms", "soon");
  assertEquals((await program.ended()).code, 2);
  assertStringIncludes(program.errors, '--bound-ms must be a whole number from 1 to 60000, and not "soon".');
});

/** Asserts that each pattern matches a line after the one that the pattern before it matched. */
function assertInOrder(lines: readonly string[], patterns: readonly RegExp[]): void {
  let from = 0;
  for (const pattern of patterns) {
    const found = lines.findIndex((line, index) => index >= from && pattern.test(line));
    assert(found >= 0, `${pattern} is not among the lines from ${from} on:\n${lines.join("\n")}`);
    from = found + 1;
  }
}

/** Asserts that every statement has its time, and that none comes before the one above it. */
function assertTimesRise(lines: readonly string[]): void {
  const times = lines.flatMap((line) => /^ *\+(\d+\.\d{3}) s +/.exec(line)?.slice(1) ?? []).map(Number);
  assert(times.length >= 15, `${times.length} lines have a time.`);
  assertEquals(times, times.toSorted((one, other) => one - other));
}
