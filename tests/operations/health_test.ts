import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { fixedMembers } from "../../discovery/fixed.ts";
import { join, type Node } from "../../node/join.ts";
import type { JoinOptions } from "../../node/join_options.ts";
import {
  operations,
  type OperationsHandler,
  type OperationsOptions,
  READY_WITHIN,
  type ReadyReport,
} from "../../operations/mod.ts";
import { ConfigurationError } from "../../options/configuration.ts";
import { quietMember } from "./quiet_member.ts";

async function ask(
  handler: OperationsHandler,
  path: string,
  init: RequestInit = {},
): Promise<[number, unknown] | undefined> {
  const response = await handler(new Request(`http://127.0.0.1:8080${path}`, init));
  if (response === undefined) return undefined;
  const text = await response.text();
  return [
    response.status,
    text.startsWith("{") ? JSON.parse(text) : text,
  ];
}

/** The status of `/ready`, and the conditions in its report. */
async function readyOf(handler: OperationsHandler): Promise<[number, ...string[]]> {
  const [status, report] = (await ask(handler, "/ready"))! as [number, ReadyReport];
  assertEquals(report.ready, status === 200);
  return [status, ...report.waitsFor.map(({ condition }) => condition)];
}

/** The member "ada", alone, on a virtual clock. */
async function operated(options: OperationsOptions = {}, joined: Partial<JoinOptions> = {}) {
  const { node, runtime } = await quietMember(joined);
  const handler = operations(node, { runtime, ...options });
  await runtime.settle();
  return {
    node,
    runtime,
    handler,
    [Symbol.asyncDispose]: async () => {
      let hasEnded = false;
      const ending = node[Symbol.asyncDispose]().then(() => hasEnded = true);
      // A departure waits for a peer that is not there.
      while (!hasEnded) {
        await runtime.advance(100);
        await new Promise((resolve) => setTimeout(resolve));
      }
      await ending;
    },
  };
}

Deno.test("operations: /live is 200 while the member runs, and 503 after its end", async () => {
  await using member = await operated();
  assertEquals(await ask(member.handler, "/live"), [200, { live: true }]);
  const stopping = member.node.stop();
  assertEquals(await ask(member.handler, "/live"), [200, { live: true }]);
  await stopping;
  assertEquals(await ask(member.handler, "/live"), [503, { live: false }]);
});

Deno.test("operations: /ready waits for another member, and answers 200 after `within` in any case", async () => {
  await using member = await operated();
  assertEquals(await ask(member.handler, "/ready"), [503, {
    ready: false,
    members: 1,
    converged: false,
    isolated: false,
    waitsFor: [{ condition: "alone", reason: "No other member is alive." }],
  }]);
  await member.runtime.advance(READY_WITHIN - 1);
  assertEquals((await ask(member.handler, "/ready"))![0], 503);
  await member.runtime.advance(1);
  assertEquals(await ask(member.handler, "/ready"), [200, {
    ready: true,
    members: 1,
    converged: false,
    isolated: false,
    waitsFor: [],
  }]);
});

Deno.test("operations: /ready says which seed failed, and why", async () => {
  await using member = await operated({}, { seeds: ["ws://127.0.0.1:1"] });
  assertEquals((await ask(member.handler, "/ready"))![1], {
    ready: false,
    members: 1,
    converged: false,
    isolated: false,
    waitsFor: [{ condition: "discovery", reason: "1 of 1 seeds have no answer yet." }],
  });
  // The dial is real, and the clock is not.
  while (member.node.snapshot().seeds[0]!.outcome === "pending") {
    await new Promise((resolve) => setTimeout(resolve));
  }
  const [, report] = (await ask(member.handler, "/ready")) as [number, ReadyReport];
  assertEquals(report.waitsFor.map(({ condition }) => condition), ["alone"]);
  assertMatch(
    report.waitsFor[0]!.reason,
    /^No other member is alive, and the seed ws:\/\/127\.0\.0\.1:1 failed: .*[^.]\.$/,
  );
});

Deno.test("operations: /ready waits for a discovery that has not answered", async () => {
  const discovery = {
    openMembership: false,
    run: (_: unknown, { signal }: { readonly signal: AbortSignal }) =>
      new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
  };
  await using member = await operated({}, { discovery });
  assertEquals(await readyOf(member.handler), [503, "discovery"]);
});

Deno.test("operations: /ready is 200 at once for the only member of a complete list", async () => {
  await using member = await operated({}, { discovery: fixedMembers([]) });
  assertEquals(await readyOf(member.handler), [200]);
});

Deno.test("operations: /ready waits until real members have exchanged their state", async () => {
  await using one = await join({ cluster: "orders", listen: { port: 0 } });
  const first = operations(one);
  const needsTwo = operations(one, { members: 2 });
  await using two = await join({ cluster: "orders", listen: { port: 0 }, seeds: [one.address] });
  const second = operations(two, { members: 2 });
  const signal = AbortSignal.timeout(10_000);
  const report = { ready: true, members: 2, converged: true, isolated: false, waitsFor: [] };
  assertEquals([await first.whenReady({ signal }), await second.whenReady({ signal })], [report, report]);
  assertEquals(await ask(first, "/ready"), [200, report]);
  // The only survivor serves on, unless it was to have another one.
  await two.stop();
  while (one.members.some(({ isSelf, status }) => !isSelf && status === "alive")) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assertEquals(await readyOf(first), [200]);
  assertEquals(await readyOf(needsTwo), [503, "members"]);
});

Deno.test("operations: /ready waits while further members join after an agreement", async () => {
  await using member = await operated();
  const { node, runtime } = member;
  const { id, signal, closed, events } = node;
  const self = node.members[0]!;
  let members = [self, { ...self, id: "ben", isSelf: false }];
  const growing = {
    id,
    signal,
    closed,
    events,
    snapshot: () => node.snapshot(),
    converged: () => Promise.resolve(),
  };
  const handler = operations({
    ...growing,
    get members() {
      return members;
    },
  }, { runtime });
  node.events.publish({
    type: "ClusterTopology",
    members: [],
    blocked: [],
    joined: [],
    left: [],
    topologyHash: "0",
  });
  members = [...members, { ...self, id: "cleo", isSelf: false }];
  await runtime.settle();
  await runtime.advance(200);
  assertEquals(await readyOf(handler), [503, "state"]);
  members = [...members, { ...self, id: "dan", isSelf: false }];
  await runtime.advance(200);
  assertEquals(await readyOf(handler), [503, "state"]);
  await runtime.advance(200);
  assertEquals(await readyOf(handler), [200]);
});

Deno.test("operations: /ready waits for the number of `members` without the limit of `within`", async () => {
  await using member = await operated({ members: 3, within: 0 });
  assertEquals((await ask(member.handler, "/ready"))![1], {
    ready: false,
    members: 1,
    converged: false,
    isolated: false,
    waitsFor: [{ condition: "members", reason: "1 of 3 members are alive." }],
  });
});

Deno.test("operations: an isolated member is not ready at the start, and later only if it needs no other members", async () => {
  const peer = { id: "bob", host: "127.0.0.1", port: 1 };
  const listed = () => ({ discovery: fixedMembers([peer]) });
  for (const [members, later] of [[1, [200]], [2, [503, "members"]]] as const) {
    await using member = await operated({ members }, listed());
    const before = members === 1 ? ["isolated"] : ["isolated", "members"];
    member.node.events.publish({ type: "Isolated" });
    await member.runtime.settle();
    assertEquals(await readyOf(member.handler), [503, ...before]);
    await member.runtime.advance(READY_WITHIN);
    member.node.events.publish({ type: "Isolated" });
    await member.runtime.settle();
    assertEquals(await readyOf(member.handler), [...later]);
    member.node.events.publish({ type: "Rejoined" });
    await member.runtime.settle();
    assertEquals(await readyOf(member.handler), [200]);
  }
});

Deno.test("operations: /ready has the service's reason, escaped, and is 503 if the service's function throws", async () => {
  let reason: () => string | undefined = () => "The cache\u001b[2J is cold.";
  await using member = await operated({ within: 0, waitsFor: () => reason() });
  const [status, report] = (await ask(member.handler, "/ready")) as [number, ReadyReport];
  assertEquals([status, report.waitsFor], [503, [{
    condition: "service",
    reason: "The cache\\u001b[2J is cold.",
  }]]);
  reason = () => undefined;
  assertEquals(await readyOf(member.handler), [200]);
  const failures = member.node.events.subscribe("CallbackFailed").getReader();
  reason = () => {
    throw new Error("no cache");
  };
  assertEquals(await readyOf(member.handler), [503, "service"]);
  assertEquals((await failures.read()).value!.where, "`waitsFor` of operations");
});

Deno.test("operations: a member that has withdrawn, because another process has its id, is not ready", async () => {
  await using member = await operated();
  const { node, runtime } = member;
  const members = node.members.map((view) => ({ ...view, status: "failed" as const }));
  const { id, signal, closed, events } = node;
  const withdrawn = { id, signal, closed, events, members };
  const calls = { converged: () => node.converged(), snapshot: () => node.snapshot() };
  const handler = operations({ ...withdrawn, ...calls }, { within: 0, runtime });
  assertEquals(await readyOf(handler), [503, "identity"]);
});

Deno.test("operations: a member that leaves is not ready", async () => {
  await using member = await operated({ within: 0 });
  const stopping = member.node.stop();
  assertEquals(await readyOf(member.handler), [503, "leaving"]);
  await stopping;
  assertEquals(await readyOf(member.handler), [503, "leaving"]);
});

Deno.test("whenReady: resolves at the latest after `within`, and rejects at an abort and at the member's end", async () => {
  await using member = await operated();
  const ready = member.handler.whenReady();
  const aborted = new AbortController();
  const refused = assertRejects(() => member.handler.whenReady(aborted), Error, "enough");
  aborted.abort(new Error("enough"));
  await refused;
  await member.runtime.advance(READY_WITHIN);
  await member.runtime.advance(100);
  assertEquals((await ready).ready, true);
  await using other = await operated();
  const stopped = assertRejects(() => other.handler.whenReady(), HearsayError, "stopped");
  await other.node.stop();
  await stopped;
});

Deno.test("operations: /members has the members without any key, and its body is escaped for terminals", async () => {
  const peer = { id: "bob\u202e\u009b31m<script>\u{e0001}", host: "::1", port: 7001, kinds: ["cart"] };
  await using member = await operated({}, { discovery: fixedMembers([peer]) });
  member.node.setState("token", "the-secret");
  const response = await member.handler(new Request("http://127.0.0.1/members"));
  const text = await response!.text();
  assert(/^[\x20-\x7e]*\n$/.test(text), text);
  assert(!text.includes("<") && !text.includes("token") && !text.includes("the-secret"), text);
  assertEquals(response!.headers.get("cache-control"), "no-store");
  const { self, cluster, members } = JSON.parse(text);
  assertEquals([self, cluster], ["ada", "orders"]);
  assertEquals(members.map(({ id }: { id: string }) => id), ["ada", peer.id]);
  const { incarnation, ...bob } = members[1];
  assertEquals(bob, {
    id: peer.id,
    status: "alive",
    isSelf: false,
    address: "[::1]:7001",
    kinds: ["cart"],
    block: null,
  });
  assertEquals(incarnation, null);
  assertMatch(members[0].incarnation, /^[0-9a-f]{12}-/);
});

Deno.test("operations: /metrics answers with the text of the option, with 404 without the option, and with an error if it fails", async () => {
  await using member = await operated();
  assertEquals(await ask(member.handler, "/metrics"), [404, "This service has no metrics.\n"]);
  let making = Promise.withResolvers<string>();
  let calls = 0;
  const handler = operations(member.node, {
    runtime: member.runtime,
    metrics: () => {
      calls++;
      return making.promise;
    },
  });
  const both = [ask(handler, "/metrics"), ask(handler, "/metrics")];
  making.resolve("up 1\n");
  assertEquals(await Promise.all(both), [[200, "up 1\n"], [200, "up 1\n"]]);
  assertEquals(calls, 1);

  const failures = member.node.events.subscribe("CallbackFailed").getReader();
  const failed: [number, string] = [500, "The metrics could not be read; the log has the reason.\n"];
  making = Promise.withResolvers();
  making.reject(new Error("the-secret"));
  assertEquals(await ask(handler, "/metrics"), failed);
  assertStringIncludes(String((await failures.read()).value!.error), "the-secret");
  making = Promise.withResolvers();
  making.resolve(5 as unknown as string);
  assertEquals(await ask(handler, "/metrics"), failed);
  // A text that never comes is not waited for.
  making = Promise.withResolvers();
  const waiting = ask(handler, "/metrics");
  await member.runtime.advance(10_000);
  assertEquals(await waiting, failed);
});

Deno.test("operations: answers GET and HEAD, and no other path", async () => {
  await using member = await operated({ within: 0, prefix: "/ops" });
  const { handler } = member;
  assertEquals((await ask(handler, "/ops/live"))![0], 200);
  assertEquals(await ask(handler, "/ops/ready", { method: "HEAD" }), [200, ""]);
  const response = await handler(new Request("http://127.0.0.1/ops/members", { method: "POST" }));
  const head = await handler(new Request("http://127.0.0.1/ops/ready", { method: "HEAD" }));
  assertEquals([head!.headers.get("content-type"), head!.body], ["application/json", null]);
  assertEquals([response!.status, response!.headers.get("allow")], [405, "GET, HEAD"]);
  assertEquals(await response!.text(), "/ops/members answers GET and HEAD only.\n");
  for (const path of ["/live", "/ops", "/ops/", "/ops/live/", "/opsx/live", "/ops/other", "/ops/../live"]) {
    assertEquals(await ask(handler, path), undefined, path);
  }
});

Deno.test("operations: refuses invalid options", async () => {
  await using member = await operated();
  const wrong: readonly [object, string][] = [
    [{ prefix: "ops" }, "prefix"],
    [{ prefix: "/ops/" }, "prefix"],
    [{ members: 0 }, "members"],
    [{ within: -1 }, "within"],
    [{ within: "10 s" }, "within"],
    [{ metrics: "up 1" }, "metrics"],
    [{ waitFor: () => undefined }, "did you mean waitsFor?"],
  ];
  for (const [options, text] of wrong) {
    const call = () => operations(member.node as Node, options as OperationsOptions);
    assertStringIncludes(assertThrows(call, ConfigurationError).message, text);
  }
});
