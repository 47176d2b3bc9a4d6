import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertMatch,
  assertThrows,
} from "../../deps/std_assert.ts";
import { ConfigurationError, join, leaveOnSignals, type LeaveOnSignalsOptions } from "../../mod.ts";
import type { EndingSignal } from "../../node/mod.ts";
import type { LeaverOptions } from "./leaver.ts";
import { Program } from "./program.ts";

const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 400, heartbeatExpiration: 30_000 };
/** How long a process may take to end beside its own limit, on a busy machine. */
const SLACK_MS = 1_500;

/** Starts a leaver; resolves when it listens. */
async function started(options: LeaverOptions = {}): Promise<{ program: Program; address: string }> {
  const program = new Program({
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      "--allow-net=127.0.0.1",
      "tests/process/leaver.ts",
      JSON.stringify({ config: CONFIG, ...options }),
    ],
  });
  const [, address] = await program.until(/^listening (\S+)/);
  return { program, address: address! };
}

/** Sends a signal; resolves with the exit code and the time until the end. */
async function endedBy(program: Program, signal: EndingSignal): Promise<{ code: number; elapsedMs: number }> {
  const beginMs = performance.now();
  program.kill(signal);
  const { code } = await program.ended();
  return { code, elapsedMs: performance.now() - beginMs };
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`leaveOnSignals: at ${signal} a member prepares, leaves with acknowledgements, and its process ends with 0 (R9.2)`, async () => {
    const one = await started();
    await using _one = one.program;
    const two = await started({ seeds: [one.address] });
    await using _two = two.program;
    await Promise.all([one, two].map(({ program }) => program.until(/^sees 2$/)));
    const { code } = await endedBy(two.program, signal);
    assertEquals([code, two.program.errors], [0, ""]);
    const printed = two.program.lines.filter((line) => /^(before|after)/.test(line));
    assertEquals(printed, ["before, 2 members", "after, flushed true, 1 acknowledged"]);
    await one.program.until(/^blocks \S+ as left$/);
  });
}

Deno.test("leaveOnSignals: a member with suspended peers leaves within three request timeouts, and its process ends with 0", async () => {
  const one = await started();
  await using _one = one.program;
  const two = await started({ seeds: [one.address] });
  await using _two = two.program;
  await Promise.all([one, two].map(({ program }) => program.until(/^sees 2$/)));
  one.program.kill("SIGSTOP");
  const { code, elapsedMs } = await endedBy(two.program, "SIGTERM");
  assertEquals(code, 0);
  await two.program.until(/^after, flushed false, 0 acknowledged$/);
  assertLess(elapsedMs, 3 * CONFIG.gossipRequestTimeout + SLACK_MS);
});

Deno.test("leaveOnSignals: a member with suspended peers ends within shutdownTimeout, for any gossipRequestTimeout, and logs the timeout", async () => {
  const config = { ...CONFIG, gossipRequestTimeout: 60_000, heartbeatExpiration: 300_000 };
  const one = await started({ config });
  await using _one = one.program;
  const two = await started({ config, seeds: [one.address], shutdownTimeout: 1_000 });
  await using _two = two.program;
  await Promise.all([one, two].map(({ program }) => program.until(/^sees 2$/)));
  one.program.kill("SIGSTOP");
  const { code, elapsedMs } = await endedBy(two.program, "SIGTERM");
  assertEquals(code, 1);
  assertMatch(two.program.errors, /^Hearsay: this member did not finish leaving within 1000 ms;/);
  assertGreater(elapsedMs, 900);
  assertLess(elapsedMs, 1_000 + SLACK_MS);
});

Deno.test("leaveOnSignals: a process ends within 4 s by default", async () => {
  const { program } = await started({ after: "hangs" });
  await using _ = program;
  const { code, elapsedMs } = await endedBy(program, "SIGTERM");
  assertEquals(code, 1);
  assertGreater(elapsedMs, 3_900);
  assertLess(elapsedMs, 5_000);
});

Deno.test("leaveOnSignals: beforeLeaving has half of the time, and then the member leaves with acknowledgements", async () => {
  const one = await started();
  await using _one = one.program;
  const two = await started({ seeds: [one.address], before: "hangs", shutdownTimeout: 3_000 });
  await using _two = two.program;
  await Promise.all([one, two].map(({ program }) => program.until(/^sees 2$/)));
  const { code, elapsedMs } = await endedBy(two.program, "SIGTERM");
  assertEquals(code, 0);
  assertGreater(elapsedMs, 1_400);
  assert(two.program.lines.includes("beforeLeaving was aborted"), two.program.lines.join("\n"));
  assert(two.program.lines.includes("after, flushed true, 1 acknowledged"), two.program.lines.join("\n"));
});

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test(`leaveOnSignals: a second signal ends the process at once, with ${code} for ${signal}`, async () => {
    const { program } = await started({ before: "hangs", shutdownTimeout: 60_000 });
    await using _ = program;
    program.kill("SIGTERM");
    await program.until(/^before/);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assertEquals((await endedBy(program, signal)).code, code);
  });
}

// At Ctrl-C a terminal signals all its processes, and `deno task` forwards its own signal: one key press can send two.
Deno.test("leaveOnSignals: two signals at once count as one, and the member leaves gracefully", async () => {
  const { program } = await started();
  await using _ = program;
  program.kill("SIGINT");
  program.kill("SIGTERM");
  assertEquals((await program.ended()).code, 0);
  assert(program.lines.includes("after, flushed true, 0 acknowledged"), program.lines.join("\n"));
});

for (const when of ["before", "after"] as const) {
  Deno.test(`leaveOnSignals: an error ${when} leaving is printed, and the other steps still run`, async () => {
    const one = await started();
    await using _one = one.program;
    const two = await started({ seeds: [one.address], [when]: "throws" });
    await using _two = two.program;
    await Promise.all([one, two].map(({ program }) => program.until(/^sees 2$/)));
    const { code } = await endedBy(two.program, "SIGTERM");
    assertEquals(code, 1);
    assertMatch(two.program.errors, new RegExp(`Failed ${when} leaving\\.`));
    assert(two.program.lines.includes("after, flushed true, 1 acknowledged"), two.program.lines.join("\n"));
  });
}

Deno.test("leaveOnSignals: stops listening when its node has stopped, so signals end the process", async () => {
  const { program } = await started();
  await using _ = program;
  await program.type("stop");
  await program.until(/^stopped by itself$/);
  program.kill("SIGTERM");
  assertEquals((await program.ended()).signal, "SIGTERM");
  assert(!program.lines.some((line) => line.startsWith("before")));
});

Deno.test("leaveOnSignals: listens for the given signals alone", async () => {
  const { program } = await started({ signals: ["SIGHUP"] });
  await using _ = program;
  assertEquals((await endedBy(program, "SIGHUP")).code, 0);
  const other = await started({ signals: ["SIGHUP"] });
  await using _other = other.program;
  other.program.kill("SIGTERM");
  assertEquals((await other.program.ended()).signal, "SIGTERM");
});

Deno.test("leaveOnSignals: disposal stops listening while the node runs", async () => {
  const { program } = await started();
  await using _ = program;
  await program.type("let go");
  await program.until(/^let go$/);
  program.kill("SIGTERM");
  assertEquals((await program.ended()).signal, "SIGTERM");
  assert(!program.lines.some((line) => line.startsWith("before")));
});

Deno.test("leaveOnSignals: refuses an invalid timeout or signal, and listens for no signal", async () => {
  await using node = await join({ cluster: "leavers", listen: { port: 0 }, config: CONFIG });
  for (const shutdownTimeout of [0, -1, NaN, Infinity, 2 ** 31]) {
    assertThrows(
      () => leaveOnSignals(node, { shutdownTimeout }),
      ConfigurationError,
      "`leaveOnSignals.shutdownTimeout` must be a duration",
    );
  }
  for (const signal of ["SIGKILL", "SIGUSR1", "toString", 15]) {
    const signals = ["SIGTERM", signal as EndingSignal] as const;
    assertThrows(() => leaveOnSignals(node, { signals }), ConfigurationError, "one of SIGHUP");
  }
  const misspelt = { beforeLeave: () => {} } as LeaveOnSignalsOptions;
  assertThrows(() => leaveOnSignals(node, misspelt), ConfigurationError, "did you mean beforeLeaving?");
});
