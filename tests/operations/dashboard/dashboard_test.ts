import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "../../../deps/std_assert.ts";
import { dashboard, type DashboardOptions } from "../../../operations/dashboard/mod.ts";
import { PAGE } from "../../../operations/dashboard/page.ts";
import { ConfigurationError } from "../../../options/configuration_error.ts";
import { TestCluster } from "../../requirements/harness.ts";
import { dataAt, LOCAL, requestOf } from "./requests.ts";

/** A dashboard of a member alone. */
async function alone(options: DashboardOptions = {}) {
  const cluster = await TestCluster.started(["a"]);
  return { cluster, show: dashboard(cluster.of("a").gossiper, options) };
}

Deno.test("dashboard: answers requests for its page and its data, and for nothing else", async () => {
  const { cluster, show } = await alone();
  await using _ = cluster;
  const page = await show(requestOf("/dashboard/"), LOCAL);
  assertEquals([page!.status, await page!.text()], [200, PAGE]);
  const data = await show(requestOf("/dashboard/data"), LOCAL);
  assertEquals(data!.headers.get("content-type"), "application/json");
  const { self, cluster: name, members } = await data!.json();
  assertEquals([self, name, members.length], ["a", "test", 1]);
  const redirect = await show(requestOf("/dashboard"), LOCAL);
  assertEquals([redirect!.status, redirect!.headers.get("location")], [308, "dashboard/"]);
  for (const path of ["/", "/dashboards", "/dashboard/x", "/dashboard/data/"]) {
    assertEquals(await show(requestOf(path), LOCAL), undefined, path);
  }
});

Deno.test("dashboard: refuses every method except GET", async () => {
  const { cluster, show } = await alone();
  await using _ = cluster;
  for (const method of ["POST", "PUT", "DELETE", "HEAD"]) {
    const response = await show(requestOf("/dashboard/data", { method }), LOCAL);
    assertEquals([response!.status, response!.headers.get("allow")], [405, "GET"], method);
  }
});

Deno.test("dashboard: is served under the path of its option `prefix`", async () => {
  const { cluster, show } = await alone({ prefix: "/admin/gossip/" });
  await using _ = cluster;
  assertEquals((await show(requestOf("/admin/gossip/"), LOCAL))!.status, 200);
  const redirect = await show(requestOf("/admin/gossip"), LOCAL);
  assertEquals(redirect!.headers.get("location"), "gossip/");
  assertEquals(await show(requestOf("/dashboard/"), LOCAL), undefined);
  const root = dashboard(cluster.of("a").gossiper, { prefix: "/" });
  assertEquals((await root(requestOf("/"), LOCAL))!.status, 200);
  assertEquals((await root(requestOf("/data"), LOCAL))!.status, 200);
});

Deno.test("dashboard: refuses an invalid option, and names it", async () => {
  const { cluster } = await alone();
  await using _ = cluster;
  const { gossiper } = cluster.of("a");
  for (const options of [{ prefix: "x" }, { prefix: "/<b>" }, { open: "yes" }, { opne: true }]) {
    // deno-lint-ignore no-explicit-any -- a plain `deno run` checks no types
    const error = assertThrows(() => dashboard(gossiper, options as any));
    assertInstanceOf(error, ConfigurationError);
  }
});

Deno.test("dashboard: its policy allows exactly its own script and style, and texts add no markup", async () => {
  const { cluster, show } = await alone();
  await using _ = cluster;
  const page = await show(requestOf("/dashboard/"), LOCAL);
  const policy = page!.headers.get("content-security-policy")!;
  for (const element of ["script", "style"]) {
    const texts = [...PAGE.matchAll(new RegExp(`<${element}[^>]*>(.*?)</${element}>`, "gs"))];
    assertEquals(texts.length, 1);
    const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(texts[0]![1]));
    assertStringIncludes(policy, `${element}-src 'sha256-${new Uint8Array(hash).toBase64()}'`);
  }
  assertStringIncludes(policy, "default-src 'none'");
  assertStringIncludes(policy, "require-trusted-types-for 'script'");
  assert(!policy.includes("unsafe"));
  assertEquals(/\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b/.exec(PAGE), null);
  assertEquals(/\b(src|href)="(?!data:,|#)/.exec(PAGE), null);
  assertEquals(/\son[a-z]+="/.exec(PAGE), null);
  assertEquals(page!.headers.get("x-content-type-options"), "nosniff");
  assertEquals(page!.headers.get("cross-origin-resource-policy"), "same-origin");
});

Deno.test("dashboard: answers only clients of this machine, unless `open` is set", async () => {
  const { cluster, show } = await alone();
  await using _ = cluster;
  const open = dashboard(cluster.of("a").gossiper, { open: true });
  const remote = (hostname: string) => ({
    remoteAddr: { transport: "tcp", hostname, port: 1 } as const,
  });
  const cases: [string, Request, typeof LOCAL | undefined][] = [
    ["through a proxy", requestOf("/dashboard/", { headers: { "x-forwarded-for": "10.0.0.1" } }), LOCAL],
    ["Pass the info of Deno.serve", requestOf("/dashboard/"), undefined],
    ["Only clients on this machine", requestOf("/dashboard/"), remote("10.0.0.5")],
    ['got "evil.example:80"', requestOf("/dashboard/", { headers: { host: "evil.example:80" } }), LOCAL],
    ['got "127.0.0.1.evil.example"', new Request("http://127.0.0.1.evil.example/dashboard/data"), LOCAL],
  ];
  for (const [reason, request, info] of cases) {
    const refused = await show(request, info);
    assertEquals(refused!.status, 403, reason);
    assertStringIncludes(await refused!.text(), reason);
    assertEquals((await open(request, info))!.status, 200, reason);
  }
  for (const host of ["localhost:1", "127.0.0.1", "[::1]:8080"]) {
    const request = requestOf("/dashboard/", { headers: { host } });
    assertEquals((await show(request, remote("::1")))!.status, 200, host);
  }
});

Deno.test("dashboard: refuses its data to a page of another origin, even with `open`", async () => {
  const { cluster } = await alone();
  await using _ = cluster;
  const show = dashboard(cluster.of("a").gossiper, { open: true });
  const statusFor = async (path: string, headers: Record<string, string>) =>
    (await show(requestOf(path, { headers }), LOCAL))!.status;
  for (const path of ["/dashboard/data", "/dashboard/events"]) {
    assertEquals(await statusFor(path, { "sec-fetch-site": "cross-site" }), 403);
    assertEquals(await statusFor(path, { "sec-fetch-site": "same-site" }), 403);
    assertEquals(await statusFor(path, { origin: "https://evil.example" }), 403);
  }
  const own = { host: "127.0.0.1:8080", origin: "http://127.0.0.1:8080" };
  assertEquals(await statusFor("/dashboard/data", own), 200);
  assertEquals(await statusFor("/dashboard/data", { "sec-fetch-site": "same-origin" }), 200);
  // A link from another page leads to the page, which nothing can embed.
  assertEquals(await statusFor("/dashboard/", { "sec-fetch-site": "cross-site" }), 200);
});

Deno.test("dashboard data: shows a crash and a departure, with their times", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  const show = dashboard(cluster.of("a").gossiper);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(1_000);
  const before = await dataAt(show);
  assertEquals(before.members.map(({ status }) => status), ["alive", "alive", "alive"]);
  assertEquals([before.agreeing, before.active, before.phase], [3, 3, "confirmed"]);
  assertEquals(before.members.map(({ lag, hasAll }) => [lag, hasAll]), [[null, null], [0, true], [0, true]]);
  assertEquals(before.members.every(({ heartbeat }) => heartbeat!.count > 0), true);
  await cluster.stop("b");
  cluster.crash("c");
  const a = cluster.of("a");
  await cluster.runUntil(() => a.emitted("MemberFailed").length > 0);
  const after = await dataAt(show);
  assertEquals(after.counts, { alive: 1, suspected: 0, failed: 1, left: 1 });
  assertEquals(after.members.map(({ id, reason }) => [id, reason]), [["a", null], ["c", "crashed"], [
    "b",
    "left",
  ]]);
  assertEquals(after.events.map(({ type, id }) => [type, id]), [
    ["MemberLeft", "b"],
    ["MemberSuspected", "c"],
    ["MemberFailed", "c"],
  ]);
  assertEquals(after.phases.map(({ phase }) => phase).slice(0, 2), ["diffusing", "confirmed"]);
});

Deno.test("dashboard data: the lag of a member is the number of entries that it has not acknowledged", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const { gossiper } = cluster.of("a");
  const show = dashboard(gossiper);
  await cluster.runUntil(() => cluster.isConfirmed());
  cluster.network.cut("memory://a:1", "memory://b:1");
  gossiper.setState("x", 1);
  gossiper.setState("x", 2);
  gossiper.deleteState("x");
  const [, b] = (await dataAt(show)).members;
  assertEquals([b!.lag, b!.hasAll], [3, false]);
  cluster.network.heal();
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals((await dataAt(show)).members[1]!.lag, 0);
});

Deno.test("dashboard data: texts of members are printable", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const { gossiper } = cluster.of("a");
  gossiper.setState("k\u202e\u0007", "\u202evalue\u0000");
  const { state } = await dataAt(dashboard(gossiper));
  assertEquals(state.keys.map(({ key }) => key), ["k\\u202e\\u0007"]);
  assertMatch(state.keys[0]!.entries[0]!.value, /^"\\u202evalue\\u0000"$/);
});
