import {
  assert,
  assertEquals,
  assertLess,
  assertRejects,
  assertStrictEquals,
} from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { abortable, deadlineAfter, realRuntime, sleep } from "../../common/runtime.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";

/** The outcome of a promise, without waiting for it. */
function watch<T>(promise: Promise<T>): { outcome: string } {
  const watched = { outcome: "pending" };
  promise.then(
    (value) => watched.outcome = `resolved ${value}`,
    (reason) => watched.outcome = `rejected ${reason.message}`,
  );
  return watched;
}

/** The number of the signal's listeners. */
function countListeners(signal: AbortSignal): () => number {
  let count = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (count++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (count--, remove(...args));
  return () => count;
}

Deno.test("sleep: ends at its time, not before (R2.5)", async () => {
  const runtime = new VirtualRuntime();
  const slept = watch(sleep(runtime, 100));
  await runtime.advance(99.9);
  assertEquals(slept.outcome, "pending");
  await runtime.advance(0.1);
  assertEquals(slept.outcome, "resolved undefined");
});

Deno.test("sleep: an abort rejects with the reason and frees its timer and listener (R2.5)", async () => {
  const runtime = new VirtualRuntime();
  const controller = new AbortController();
  const { signal } = controller;
  const listeners = countListeners(signal);
  const sleeping = sleep(runtime, 100, { signal });
  const aborted = assertRejects(() => sleeping, Error, "enough");
  controller.abort(new Error("enough"));
  await aborted;
  assertEquals(runtime.timers, 0);
  await assertRejects(() => sleep(runtime, 100, { signal }), Error, "enough");
  assertEquals(runtime.timers, 0);

  const other = new AbortController().signal;
  const otherListeners = countListeners(other);
  const done = sleep(runtime, 5, { signal: other });
  await runtime.advance(5);
  await done;
  assertEquals(otherListeners(), 0);
  assertEquals(listeners(), 1, "an abort takes its own listener away, so only the addition is seen");
});

Deno.test("deadline: aborts with a timeout that names the pending operation (R8.3)", async () => {
  const runtime = new VirtualRuntime();
  using deadline = deadlineAfter(runtime, 500, "The reply of b");
  await runtime.advance(499);
  assert(!deadline.signal.aborted);
  await runtime.advance(1);
  const { reason } = deadline.signal;
  assert(reason instanceof HearsayError);
  assertEquals(reason.code, "timeout");
  assertEquals(reason.message, "The reply of b took longer than 500 ms.");
});

Deno.test("deadline: a disposal leaves neither timer nor listener (R9.4)", async () => {
  const runtime = new VirtualRuntime();
  const controller = new AbortController();
  const listeners = countListeners(controller.signal);
  let signal;
  {
    using deadline = deadlineAfter(runtime, 500, "It", { signal: controller.signal });
    ({ signal } = deadline);
    assertEquals([runtime.timers, listeners()], [1, 1]);
  }
  assertEquals([runtime.timers, listeners()], [0, 0]);
  controller.abort();
  await runtime.advance(1000);
  assert(!signal.aborted);
});

Deno.test("deadline: follows its parent, even a parent that is already aborted", () => {
  const runtime = new VirtualRuntime();
  const controller = new AbortController();
  using before = deadlineAfter(runtime, 500, "It", { signal: controller.signal });
  const reason = new Error("enough");
  controller.abort(reason);
  using after = deadlineAfter(runtime, 500, "It", { signal: controller.signal });
  assertStrictEquals(before.signal.reason, reason);
  assertStrictEquals(after.signal.reason, reason);
});

Deno.test("abortable: ends with the promise or the signal, whichever comes first", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const listeners = countListeners(signal);
  assertEquals(await abortable(Promise.resolve(1), signal), 1);
  await assertRejects(() => abortable(Promise.reject(new Error("no")), signal), Error, "no");
  assertEquals(listeners(), 0);
  const waiting = assertRejects(() => abortable(new Promise(() => {}), signal), Error, "enough");
  controller.abort(new Error("enough"));
  await waiting;
  await assertRejects(() => abortable(Promise.resolve(1), signal), Error, "enough");
});

Deno.test("abortable: a promise that rejects after the abort causes no unhandled rejection", async () => {
  const unhandled: unknown[] = [];
  const listen = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    unhandled.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", listen);
  const { promise, reject } = Promise.withResolvers<never>();
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => abortable(promise, signal), Error, "enough");
  reject(new Error("too late"));
  await new Promise((resolve) => setTimeout(resolve, 0));
  globalThis.removeEventListener("unhandledrejection", listen);
  assertEquals(unhandled, []);
});

Deno.test("real runtime: has the clocks, timers and random numbers of the machine (R3.1)", async () => {
  const before = [performance.now(), Date.now()] as const;
  const { promise, resolve } = Promise.withResolvers<void>();
  realRuntime.setTimer(1, () => resolve());
  realRuntime.setTimer(0, () => assert(false, "a canceled timer ran"))();
  await promise;
  assert(realRuntime.monotonicMs() > before[0]);
  assert(realRuntime.wallMs() >= before[1]);
  const drawn = new Set(Array.from({ length: 100 }, () => realRuntime.random()));
  assert([...drawn].every((number) => number >= 0 && number < 1));
  assert(drawn.size > 90);
});

Deno.test("real runtime: a delay longer than the longest timer does not end at once", async () => {
  const early: number[] = [];
  for (const delayMs of [2 ** 31, 1e12, Infinity]) {
    const cancel = realRuntime.setTimer(delayMs, () => early.push(delayMs));
    // The system would set it to 1 ms, before this one.
    await sleep(realRuntime, 20);
    cancel();
  }
  assertEquals(early, []);
});

Deno.test("virtual runtime: timers run by time, then by the order in which they were set", async () => {
  const runtime = new VirtualRuntime();
  const expected: string[] = [];
  const ran: string[] = [];
  const timers = Array.from({ length: 2000 }, (_, order) => ({ atMs: (order * 7919) % 97, order }));
  for (const { atMs, order } of timers) {
    runtime.setTimer(atMs, () => ran.push(`${runtime.monotonicMs()}/${order}`));
    // So many that the canceled ones are swept out in between.
    for (const more of [1, 2]) runtime.setTimer(atMs + more, () => ran.push("canceled"))();
  }
  timers.sort((one, other) => one.atMs - other.atMs || one.order - other.order);
  for (const { atMs, order } of timers) expected.push(`${atMs}/${order}`);
  assertEquals(runtime.timers, 2000);
  await runtime.advance(50);
  assertEquals(ran, expected.slice(0, ran.length));
  assertEquals(runtime.timers, 2000 - ran.length);
  await runtime.advance(50);
  assertEquals(ran, expected);
  assertEquals(runtime.timers, 0);
});

Deno.test("virtual runtime: a timer can be canceled by a timer of the same time, and after it ran", async () => {
  const runtime = new VirtualRuntime();
  const ran: string[] = [];
  const cancelFirst = runtime.setTimer(1, () => {
    ran.push("first");
    cancelSecond();
  });
  const cancelSecond = runtime.setTimer(1, () => ran.push("second"));
  runtime.setTimer(2, () => ran.push("third"));
  await runtime.advance(1);
  cancelFirst();
  cancelSecond();
  assertEquals(runtime.timers, 1);
  await runtime.advance(1);
  assertEquals(ran, ["first", "third"]);
});

Deno.test("virtual runtime: promises and streams run to their end between two timers", async () => {
  const runtime = new VirtualRuntime();
  const log: string[] = [];
  const { readable, writable } = new TransformStream<number, number>();
  const doubled = readable
    .pipeThrough(
      new TransformStream<number, number>({
        async transform(chunk, controller) {
          for (let turns = 0; turns < 1000; turns++) await null;
          controller.enqueue(2 * chunk);
        },
      }),
    )
    .pipeThrough(new TransformStream<number, number>());
  const piping = doubled.pipeTo(new WritableStream({ write: (chunk) => void log.push(`wrote ${chunk}`) }));
  const writer = writable.getWriter();
  for (let n = 1; n <= 3; n++) {
    runtime.setTimer(1, () => {
      log.push(`timer ${n}`);
      writer.write(n);
      if (n === 3) writer.close();
    });
  }
  const piped = watch(piping);
  await runtime.advance(1);
  assertEquals(log, ["timer 1", "wrote 2", "timer 2", "wrote 4", "timer 3", "wrote 6"]);
  assertEquals(piped.outcome, "resolved undefined");
});

Deno.test("virtual runtime: a timer that is set while time advances runs in the same advance, at its own time", async () => {
  const runtime = new VirtualRuntime();
  const moments: number[] = [];
  const loop = async () => {
    for (let round = 0; round < 4; round++) {
      await sleep(runtime, 10);
      moments.push(runtime.monotonicMs());
    }
  };
  const looped = loop();
  await runtime.advance(35);
  assertEquals(moments, [10, 20, 30]);
  assertEquals(runtime.monotonicMs(), 35);
  await runtime.advance(5);
  await looped;
});

Deno.test("virtual runtime: a step of the wall clock moves neither the monotonic clock nor another machine's (E9)", async () => {
  const runtime = new VirtualRuntime({ wallMs: 5_000 });
  const wrong = runtime.machine({ wallMs: 1_000_000 });
  const right = runtime.machine();
  await runtime.advance(100);
  runtime.stepWall(-3_000);
  wrong.stepWall(1);
  assertEquals([runtime.monotonicMs(), runtime.wallMs()], [100, 2_100]);
  assertEquals([wrong.monotonicMs(), wrong.wallMs()], [100, 1_000_101]);
  assertEquals([right.monotonicMs(), right.wallMs()], [100, 5_100]);
  let ran = false;
  wrong.setTimer(1, () => ran = true);
  await runtime.advance(1);
  assert(ran);
});

Deno.test("virtual runtime: equal seeds draw equal numbers, and another seed draws other numbers, evenly spread (R3.1)", () => {
  const draw = (seed: number) => {
    const runtime = new VirtualRuntime({ seed });
    const machine = runtime.machine();
    return Array.from({ length: 1000 }, () => [runtime.random(), machine.random()]).flat();
  };
  assertEquals(draw(7), draw(7));
  assertEquals(new Set([...draw(7), ...draw(8)]).size, 4000);
  for (const seed of [0, 1, -1, 2 ** 31, 4_000_000_000]) {
    const numbers = draw(seed);
    assert(numbers.every((number) => number >= 0 && number < 1));
    const mean = numbers.reduce((sum, number) => sum + number) / numbers.length;
    assertLess(Math.abs(mean - 0.5), 0.05);
  }
});

Deno.test("virtual runtime: runs until a condition holds, and returns the elapsed time", async () => {
  const runtime = new VirtualRuntime();
  let ticks = 0;
  const tick = () => {
    ticks++;
    cancel = runtime.setTimer(10, tick);
  };
  let cancel = runtime.setTimer(10, tick);
  assertEquals(await runtime.runUntil(() => ticks === 3, { withinMs: 30 }), 30);
  assertEquals(await runtime.runUntil(() => ticks === 3, { withinMs: 0 }), 0);
  await assertRejects(() => runtime.runUntil(() => ticks === 10, { withinMs: 69 }), Error, "the time is up");
  assertEquals(ticks, 9);
  cancel();
  await assertRejects(() => runtime.runUntil(() => false, { withinMs: 1 }), Error, "no timer is left");
});

Deno.test("virtual runtime: refuses a second `advance` at once, and an endless chain of timers at the same time", async () => {
  const runtime = new VirtualRuntime();
  const advancing = runtime.advance(1);
  await assertRejects(() => runtime.advance(1), Error, "await the call before");
  await advancing;
  runtime.setTimer(1, () => {
    throw new Error("a callback that throws");
  });
  await assertRejects(() => runtime.advance(1), Error, "a callback that throws");
  await runtime.advance(1);
  const again = () => void runtime.setTimer(0, again);
  again();
  await assertRejects(() => runtime.advance(1), Error, "for ever");
});
