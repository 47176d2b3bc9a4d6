import { assert, assertEquals, assertMatch, assertStringIncludes } from "../../../deps/std_assert.ts";
import { dashboard, type DashboardHandler } from "../../../operations/dashboard/mod.ts";
import type { ExplainedMember, SeenKey } from "../../../operations/dashboard/explained.ts";
import { MAX_NAME_LENGTH } from "../../../operations/dashboard/limits.ts";
import { join } from "../../../node/join.ts";
import { newClusterKey } from "../../../security/cluster_keys.ts";
import { TestCluster } from "../../requirements/harness.ts";
import { Site } from "./site.ts";
import { dataAt, LOCAL, requestOf } from "./requests.ts";

/** The status and the text of an answer. */
async function answerAt(show: DashboardHandler, path: string): Promise<[number, string]> {
  const response = await show(requestOf(`/dashboard/${path}`), LOCAL);
  return [response!.status, await response!.text()];
}

async function explained(show: DashboardHandler, id: string): Promise<ExplainedMember> {
  const [status, text] = await answerAt(show, `explain?${new URLSearchParams({ member: id })}`);
  assertEquals(status, 200, text);
  return JSON.parse(text);
}

async function seen(show: DashboardHandler, key: string): Promise<SeenKey> {
  const [status, text] = await answerAt(show, `seen?${new URLSearchParams({ key })}`);
  assertEquals(status, 200, text);
  return JSON.parse(text);
}

Deno.test("dashboard explain: a crashed member has its reason, its decisions and its last heartbeat", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  const a = cluster.of("a");
  const show = dashboard(a.gossiper);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(1_000);
  const before = await explained(show, "c");
  assertEquals([before.status, before.isSelf, before.isConnected, before.lacks], ["alive", false, true, 0]);
  cluster.crash("c");
  await cluster.runUntil(() => a.emitted("MemberFailed").length > 0);
  const after = await explained(show, "c");
  const whole = a.gossiper.explain("c");
  assertEquals([after.id, after.status, after.isConnected, after.lacks], ["c", "failed", false, null]);
  assertEquals([after.summary, after.endsWhen], [whole.summary, whole.endsWhen]);
  assertMatch(after.summary, /^It crashed: its connection broke/);
  assertEquals(after.sinceMs, whole.sinceUnixMilliseconds);
  const { takenMs } = after as ExplainedMember & { readonly takenMs: number };
  assertEquals([after.heartbeat!.count, takenMs - after.heartbeat!.atMs, after.heartbeat!.peerId], [
    whole.heartbeat!.count,
    whole.heartbeat!.ageMilliseconds,
    whole.heartbeat!.peerId,
  ]);
  assertEquals(
    after.decisions.map(({ kind, atMs }) => `${kind} ${atMs}`),
    whole.decisions.map(({ kind, atUnixMilliseconds }) => `${kind} ${atUnixMilliseconds}`),
  );
  assertEquals(after.decisions.at(-1)!.reason, "crashed");
  assert(after.decisions.some(({ kind, peerId }) => kind === "suspectedByPeer" && peerId === "b"));
  // A later dial to it fails; the sentence has its address.
  await cluster.advance(70_000);
  const { decisions } = await explained(show, "c");
  const failure = decisions.find(({ kind }) => kind === "requestFailed");
  assertStringIncludes(failure!.reason!, "memory://c:1");
});

Deno.test("dashboard explain: a member that lags has the number of entries that it lacks", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const { gossiper } = cluster.of("a");
  const show = dashboard(gossiper);
  await cluster.runUntil(() => cluster.isConfirmed());
  cluster.network.cut("memory://a:1", "memory://b:1");
  gossiper.setState("x", 1);
  gossiper.setState("y", 2);
  assertEquals((await explained(show, "b")).lacks, 2);
});

Deno.test("dashboard explain: refuses an id that is missing, too long, or not among the shown members", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const show = dashboard(cluster.of("a").gossiper);
  for (const [path, parameter] of [["explain", "member"], ["seen", "key"]] as const) {
    const bound = `\`${parameter}\` must be the shown text, of 1 to 1201 characters; got`;
    assertEquals(await answerAt(show, path), [400, `${bound} none.\n`]);
    assertEquals(await answerAt(show, `${path}?${parameter}=`), [400, `${bound} none.\n`]);
    const long = "x".repeat(MAX_NAME_LENGTH + 1);
    assertEquals(await answerAt(show, `${path}?${parameter}=${long}`), [400, `${bound} 1202.\n`]);
    const [status, text] = await answerAt(show, `${path}?${parameter}=${"x".repeat(200)}…`);
    assertEquals(status, 404);
    assertStringIncludes(text, "is shown under this text now.");
  }
  assertEquals((await explained(show, "ghost")).status, "unknown");
  assertEquals((await seen(show, "nothing")).number, null);
});

Deno.test("dashboard explain: finds a member by its escaped or shortened id, unless two members have the same shown id", async () => {
  const long = "i".repeat(220);
  const [escaped, literal] = ["x\u202ey", "x\\u202ey"];
  {
    await using site = await Site.started(["a", long, escaped]);
    const show = dashboard(site.of("a"));
    const shown = (await dataAt(show)).members.map(({ id }) => id);
    assertEquals(shown, ["a", `${"i".repeat(200)}…`, literal]);
    for (const id of shown) {
      const answer = await explained(show, id);
      assertEquals([answer.id, answer.status], [id, "alive"]);
    }
  }
  await using site = await Site.started(["a", `${long}1`, `${long}2`, escaped, literal]);
  const show = dashboard(site.of("a"));
  for (const id of [`${"i".repeat(200)}…`, literal]) {
    assertEquals(await answerAt(show, `explain?${new URLSearchParams({ member: id })}`), [
      409,
      "Several members are shown under this text, because it is shortened or escaped. " +
      "`node.explain(id)` takes the whole id.\n",
    ]);
  }
});

Deno.test("dashboard explain: the texts of a peer are printable", async () => {
  const evil = "c\u001b[2J\u202e";
  await using site = await Site.started(["a", "b", evil]);
  const show = dashboard(site.of("a"));
  // Members suspect another over a connection that broke, so each needs one.
  for (const id of ["a", evil]) await site.of(id).converged({ signal: AbortSignal.timeout(10_000) });
  site.crash("b");
  const changes = site.of("a").watchMembers({ signal: AbortSignal.timeout(10_000) });
  for await (const { status } of changes) {
    if (status === "failed") break;
  }
  const [status, text] = await answerAt(show, "explain?member=b");
  assertEquals(status, 200);
  const { decisions } = JSON.parse(text) as ExplainedMember;
  // The peer with this id suspected the member too.
  assert(decisions.some(({ peerId }) => peerId === "c\\u001b[2J\\u202e"), text);
  assertPrintable(JSON.parse(text));
  site.of("a").setState("key\u202e", 1);
  assertPrintable(await seen(show, "key\\u202e"));
});

/** Fails if a text in JSON data has a control or invisible character. */
function assertPrintable(data: unknown): void {
  JSON.stringify(data, (_, value) => {
    if (typeof value === "string") assertEquals(/[\p{Cc}\p{Cf}]/u.test(value), false, value);
    return value;
  });
}

Deno.test("dashboard explain: this member has the addresses of its discovery, with their outcomes", async () => {
  await using one = await join({ cluster: "test", id: "one", listen: { port: 0 } });
  const seeds = [one.address];
  await using two = await join({ cluster: "test", id: "two", listen: { port: 0 }, seeds });
  const show = dashboard(two);
  await two.converged({ signal: AbortSignal.timeout(10_000) });
  const own = await explained(show, "two");
  const [seed] = two.explain().seeds!;
  assertEquals([own.isSelf, own.seedCount], [true, 1]);
  assertEquals(own.seeds, [
    {
      address: seed!.address,
      outcome: "met",
      memberId: "one",
      reason: null,
      nextAtMs: seed!.nextAttemptUnixMilliseconds,
    },
  ]);
  const other = await explained(show, "one");
  assertEquals([other.isSelf, other.seeds, other.seedCount], [false, [], 0]);
});

Deno.test("dashboard: no answer has the cluster's key", async () => {
  const keys = [await newClusterKey()];
  const options = { cluster: "test", listen: { port: 0 }, authentication: { keys }, log: false };
  await using one = await join({ ...options, id: "one" });
  await using stranger = await join({ cluster: "test", listen: { port: 0 }, log: false });
  await using two = await join({ ...options, id: "two", seeds: [one.address, stranger.address] });
  two.setState("load", 1);
  await two.converged({ signal: AbortSignal.timeout(10_000) });
  const show = dashboard(two);
  for (
    const path of ["", "data?internal=true", "explain?member=one", "explain?member=two", "seen?key=load"]
  ) {
    const [status, text] = await answerAt(show, path);
    assertEquals([status, text.includes(keys[0]!)], [200, false], path);
  }
});

Deno.test("dashboard explain and seen: refuse strangers, pages of other origins, and any method except GET", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const { gossiper } = cluster.of("a");
  const [show, open] = [dashboard(gossiper), dashboard(gossiper, { open: true })];
  for (const path of ["/dashboard/explain?member=a", "/dashboard/seen?key=x"]) {
    const statusOf = async (handler: DashboardHandler, options: RequestInit, info?: typeof LOCAL) => {
      const response = await handler(requestOf(path, options), info);
      await response!.body?.cancel();
      return response!.status;
    };
    const remote = { remoteAddr: { transport: "tcp", hostname: "10.0.0.5", port: 1 } as const };
    assertEquals(await statusOf(show, {}, LOCAL), 200, path);
    assertEquals(await statusOf(show, {}, remote), 403, path);
    assertEquals(await statusOf(show, {}), 403, path);
    assertEquals(await statusOf(show, { headers: { "x-forwarded-for": "10.0.0.1" } }, LOCAL), 403, path);
    assertEquals(await statusOf(show, { headers: { host: "evil.example" } }, LOCAL), 403, path);
    assertEquals(await statusOf(open, {}, remote), 200, path);
    for (
      const headers of [{ "sec-fetch-site": "cross-site" }, { "sec-fetch-site": "same-site" }, {
        origin: "https://evil.example",
      }]
    ) {
      assertEquals(await statusOf(show, { headers }, LOCAL), 403, path);
      assertEquals(await statusOf(open, { headers }, LOCAL), 403, path);
    }
    assertEquals(await statusOf(show, { headers: { "sec-fetch-site": "same-origin" } }, LOCAL), 200, path);
    for (const method of ["POST", "PUT", "DELETE", "HEAD"]) {
      assertEquals(await statusOf(show, { method }, LOCAL), 405, path);
    }
    assertEquals(await show(requestOf(path.replace("?", "/?")), LOCAL), undefined, path);
  }
});

Deno.test("dashboard seen: counts the members with the latest value, and names the others with the reason", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  const { gossiper } = cluster.of("a");
  const show = dashboard(gossiper);
  gossiper.setState("x", 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  const { number, seen: have, of, lacking } = await seen(show, "x");
  assertEquals([have, of, lacking], [3, 3, []]);
  assertEquals(number, gossiper.seenBy("x").sequenceNumber);
  cluster.network.cut("memory://a:1", "memory://b:1");
  cluster.network.cut("memory://a:1", "memory://c:1");
  gossiper.setState("x", 2);
  const later = await seen(show, "x");
  assertEquals([later.seen, later.of], [1, 3]);
  assertEquals(later.lacking.map(({ id }) => id), ["b", "c"]);
  for (const { reason } of later.lacking) assert(["unacknowledged", "unconnected"].includes(reason));
  // Only this member's own values have the mark of `seen` in the table.
  const { state } = await dataAt(show, "?internal=true");
  const own = state.keys.flatMap(({ entries }) => entries).filter(({ isOwn }) => isOwn);
  assert(own.length > 0);
  assertEquals(own.every(({ id }) => id === "a"), true);
  for (const { key, entries } of state.keys) {
    if (entries.some(({ isOwn }) => isOwn)) assert((await seen(show, key)).number !== null, key);
  }
});
