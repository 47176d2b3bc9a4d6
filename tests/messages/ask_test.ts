import { assertEquals, assertLess, assertRejects, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { messagesOf } from "../../messages/messages.ts";
import type { Unanswered } from "../../messages/contract.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { recordOf, TestCluster } from "../requirements/harness.ts";
import { talking } from "./cluster.ts";

/** The reasons by member. */
function reasons(unanswered: readonly Unanswered[]): Record<string, string> {
  return Object.fromEntries(unanswered.map(({ memberId, reason }) => [memberId, reason]));
}

Deno.test("ask: gathers the answer of every member, and resolves when the last is there (M6)", async () => {
  const { cluster, of } = await talking(["a", "b", "c"]);
  await using _ = cluster;
  const asked: unknown[] = [];
  for (const id of ["a", "b", "c"]) {
    of(id).answer("load", ({ payload, memberId }) => {
      asked.push([id, payload, memberId]);
      return { of: id };
    });
  }
  const startMs = cluster.runtime.monotonicMs();
  const { answers, unanswered } = await cluster.finish(
    of("a").ask("all", { topic: "load", payload: ["cpu"] }, { timeout: 60_000 }),
  );
  assertLess(cluster.runtime.monotonicMs() - startMs, 100);
  assertEquals([Object.fromEntries(answers), unanswered], [{ b: { of: "b" }, c: { of: "c" } }, []]);
  assertEquals(asked.sort(), [["b", ["cpu"], "a"], ["c", ["cpu"], "a"]]);
  const all = await cluster.finish(of("a").ask("all", { topic: "load" }, { includeSelf: true }));
  assertEquals([...all.answers.keys()].sort(), ["a", "b", "c"]);
});

Deno.test("ask: an audience is a list of kinds or of ids, and unknown ids are reported (M6)", async () => {
  await using cluster = new TestCluster(["a", "b", "c"], { fixed: false });
  for (const id of ["a", "b", "c"]) {
    cluster.make(id);
    await cluster.of(id).gossiper.start();
  }
  const of = (id: string) => messagesOf(cluster.of(id).gossiper);
  const kinds: Record<string, string[]> = { a: ["web"], b: ["web", "mail"], c: [] };
  for (const id of ["a", "b", "c"]) {
    of(id).answer("who", () => id);
    const members = ["a", "b", "c"].map((other) => ({ ...recordOf(other), kinds: kinds[other]! }));
    cluster.of(id).stream.publish({ type: "ClusterTopology", members, blocked: [] });
  }
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(2_000);
  const ask = async (...args: Parameters<ReturnType<typeof of>["ask"]>) => {
    const { answers, unanswered } = await cluster.finish(of("a").ask(...args));
    return [[...answers.keys()].sort(), reasons(unanswered)];
  };
  const who = { topic: "who" };
  assertEquals(await ask({ kinds: ["mail", "web"] }, who), [["b"], {}]);
  assertEquals(await ask({ kinds: ["web"] }, who, { includeSelf: true }), [["a", "b"], {}]);
  assertEquals(await ask({ kinds: ["none"] }, who), [[], {}]);
  assertEquals(await ask({ members: ["c", "a", "x", "c"] }, who), [["a", "c"], { x: "unknown_member" }]);
  for (
    const audience of ["b", {}, { kinds: "web" }, { kinds: [], members: [] }, { ids: ["a"] }, {
      members: [5],
    }]
  ) {
    await assertRejects(() => of("a").ask(audience as never, who), ConfigurationError, "audience");
  }
  for (const question of [undefined, "who", {}]) {
    await assertRejects(() => of("a").ask("all", question as never), ConfigurationError, "question");
  }
  await assertRejects(
    () => of("a").ask("all", { topic: "who", paylaod: 1 } as never),
    ConfigurationError,
    "`question.paylaod` is not an option (did you mean payload?)",
  );
});

Deno.test("ask: reports for each member why it did not answer, and an error's text is cut (M6)", async () => {
  const { cluster, of } = await talking(["a", "b", "c", "d", "e"]);
  await using _ = cluster;
  of("b").answer("q", () => {
    throw new Error("e".repeat(5_000));
  });
  of("c").answer("q", () => new Promise(() => {}));
  of("d").answer("q", () => "x".repeat(70_000));
  of("a").answer("q", () => new Promise(() => {}));
  const startMs = cluster.runtime.monotonicMs();
  const { answers, unanswered } = await cluster.finish(
    of("a").ask("all", { topic: "q" }, { timeout: 700, includeSelf: true }),
  );
  assertEquals(cluster.runtime.monotonicMs() - startMs, 700);
  assertEquals(answers.size, 0);
  assertEquals(reasons(unanswered), {
    a: "timeout",
    b: "failed",
    c: "timeout",
    d: "too_large",
    e: "no_handler",
  });
  assertEquals(unanswered.find(({ memberId }) => memberId === "b")!.message, "e".repeat(256));
  assertEquals(cluster.of("b").emitted("CallbackFailed").length, 1);
});

Deno.test("ask: a member's answer to itself has the same limit as one to a peer (M4)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  for (const id of ["a", "b"]) of(id).answer("q", ({ payload }) => "x".repeat(payload as number));
  const ask = async (length: number) => {
    const { answers, unanswered } = await cluster.finish(
      of("a").ask("all", { topic: "q", payload: length }, { includeSelf: true }),
    );
    return [[...answers.keys()].sort(), reasons(unanswered)];
  };
  const most = 65_536 - 128 - '"id":1,"payload":""}'.length;
  assertEquals(await ask(most), [["a", "b"], {}]);
  assertEquals(await ask(most + 1), [[], { a: "too_large", b: "too_large" }]);
});

Deno.test("ask: an answer after the time is dropped, and the answering function's signal was aborted (M6)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  const late = Promise.withResolvers<string>();
  let signal: AbortSignal | undefined;
  of("b").answer("q", (question) => {
    signal = question.signal;
    return late.promise;
  });
  const first = await cluster.finish(of("a").ask("all", { topic: "q" }, { timeout: 300 }));
  assertEquals(reasons(first.unanswered), { b: "timeout" });
  await cluster.advance(100);
  assertEquals(signal?.aborted, true);
  late.resolve("late");
  await cluster.advance(100);
  assertEquals(cluster.sentBy("b", "answer"), []);
});

Deno.test("ask: a member whose connection ends before its answer is reported at once (M6)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  of("b").answer("q", () => new Promise(() => {}));
  const asking = of("a").ask("all", { topic: "q" }, { timeout: 60_000 });
  await cluster.advance(50);
  const startMs = cluster.runtime.monotonicMs();
  cluster.breakConnections("b");
  const { unanswered } = await cluster.finish(asking);
  assertEquals(reasons(unanswered), { b: "disconnected" });
  assertLess(cluster.runtime.monotonicMs() - startMs, 100);
});

Deno.test("ask: only a member that was asked can answer, and only once (M2, M6)", async () => {
  const { cluster, of } = await talking(["a", "b", "c"]);
  await using _ = cluster;
  of("b").answer("q", () => "honest");
  // Each answer of c to a claims to be the answer to the next question, and each of b is doubled.
  cluster.network.setFaults({ duplicate: 1 }, { from: memoryAddress("b", 1) });
  of("c").answer("other", () => "forged");
  cluster.network.setFaults({ rewrite: (text) => text.replace(/"id":\d+/, '"id":2') }, {
    from: memoryAddress("c", 1),
  });
  await cluster.finish(of("a").ask({ members: ["c"] }, { topic: "other" }, { timeout: 100 }));
  const { answers, unanswered } = await cluster.finish(of("a").ask({ members: ["b"] }, { topic: "q" }));
  assertEquals([[...answers], unanswered], [[["b", "honest"]], []]);
  cluster.network.clearFaults();
});

Deno.test("answer: accepts sixteen questions of a member and 64 in all at a time, and refuses more as busy (M4)", async () => {
  const { cluster, of } = await talking(["a", "b", "c", "d", "e", "f"]);
  await using _ = cluster;
  let underWay = 0;
  of("a").answer("q", () => {
    underWay++;
    return new Promise(() => {});
  });
  const asking = ["b", "c", "d", "e", "f"].flatMap((id) =>
    Array.from({ length: 20 }, () => of(id).ask({ members: ["a"] }, { topic: "q" }, { timeout: 2_000 }))
  );
  const results = await cluster.finish(Promise.all(asking));
  const said = results.map(({ unanswered }) => unanswered[0]!.reason);
  assertEquals(underWay, 64);
  assertEquals([
    said.filter((reason) => reason === "timeout").length,
    said.filter((reason) => reason === "busy").length,
  ], [
    64,
    36,
  ]);
  // The places are free again, though the functions never settled.
  const again = await cluster.finish(of("b").ask({ members: ["a"] }, { topic: "q" }, { timeout: 100 }));
  assertEquals(again.unanswered[0]!.reason, "timeout");
});

Deno.test("answer: the questions of a process that ended are aborted, and its next process may ask as many (M4)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  const signals: AbortSignal[] = [];
  of("a").answer("q", ({ signal }) => {
    signals.push(signal);
    return new Promise(() => {});
  });
  const ask = (timeout: number) =>
    Promise.all(
      Array.from({ length: 16 }, () => of("b").ask({ members: ["a"] }, { topic: "q" }, { timeout })),
    );
  const asking = ask(60_000).catch(() => {});
  await cluster.runUntil(() => signals.length === 16);
  await cluster.finish(cluster.of("b").dispose());
  await cluster.finish(asking);
  await cluster.runtime.settle();
  assertEquals(signals.filter(({ aborted }) => aborted).length, 16);
  await cluster.make("b").gossiper.start();
  of("b");
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(2_000);
  const said = (await cluster.finish(ask(100))).map(({ unanswered }) => unanswered[0]!.reason);
  assertEquals(new Set(said), new Set(["timeout"]));
});

Deno.test("answer: a topic has one function at a time; its handle removes it (M6)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  const handle = of("b").answer("q", () => 1);
  assertThrows(() => of("b").answer("q", () => 2), HearsayError, "Another function");
  handle[Symbol.dispose]();
  const none = await cluster.finish(of("a").ask("all", { topic: "q" }));
  assertEquals(reasons(none.unanswered), { b: "no_handler" });
  of("b").answer("q", () => undefined);
  handle[Symbol.dispose]();
  const some = await cluster.finish(of("a").ask("all", { topic: "q" }));
  assertEquals([...some.answers], [["b", null]]);
});

Deno.test("ask: rejects with code stopped when this member leaves, and with the signal's reason, and leaves no timer (M6)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  for (const id of ["a", "b"]) of(id).answer("q", () => new Promise(() => {}));
  const controller = new AbortController();
  const aborted = assertRejects(
    () => of("a").ask("all", { topic: "q" }, { signal: controller.signal }),
    RangeError,
  );
  controller.abort(new RangeError());
  await cluster.finish(aborted);
  const stopped = assertRejects(
    () => of("a").ask("all", { topic: "q" }, { includeSelf: true, timeout: 60_000 }),
    HearsayError,
  );
  await cluster.advance(50);
  await cluster.stop("a");
  assertEquals((await stopped).code, "stopped");
  assertEquals(cluster.of("a").runtime.timers, 0);
});
