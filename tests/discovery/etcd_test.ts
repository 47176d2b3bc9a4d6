import { assert, assertEquals, assertRejects, assertThrows } from "../../deps/std_assert.ts";
import { etcd, type EtcdDiscoveryOptions } from "../../discovery/etcd/etcd.ts";
import { Compacted, EtcdClient } from "../../discovery/etcd/client.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { realRuntime } from "../../common/runtime.ts";
import { EtcdServer, etcdTest, Proxy } from "./etcd_server.ts";
import { freePort } from "../process/ports.ts";
import { memberOf, TestContext } from "./context.ts";

function member(id: string, endpoint: string, options: EtcdDiscoveryOptions = {}): TestContext {
  const discovery = etcd({
    endpoints: [endpoint],
    leaseTtl: 1_000,
    requestTimeout: 500,
    grace: 0,
    ...options,
  });
  return new TestContext(discovery, { self: memberOf(id), cluster: "orders" });
}

function topologiesOf(context: TestContext): number {
  return context.events.filter(({ type }) => type === "ClusterTopology").length;
}

etcdTest(
  "etcd: finds the members of its own cluster, and no member of a cluster with a longer name",
  async () => {
    await using server = await EtcdServer.start();
    const { endpoint } = server;
    await using a = member("a", endpoint);
    await using b = member("b/é", endpoint);
    await using other = new TestContext(etcd({ endpoints: [endpoint] }), {
      self: memberOf("x"),
      cluster: "orders/2",
    });
    await other.untilIds("x");
    await a.untilIds("a", "b/é");
    await b.untilIds("a", "b/é");
    assertEquals(a.members, [memberOf("a"), memberOf("b/é")]);
    assertEquals(Object.keys(await server.values("/hearsay/")), [
      "/hearsay/orders%2F2/x",
      "/hearsay/orders/a",
      "/hearsay/orders/b%2F%C3%A9",
    ]);
  },
);

etcdTest("etcd: a member whose lease was lost registers again for itself and others", async () => {
  await using server = await EtcdServer.start();
  await using way = new Proxy(server.endpoint);
  await using a = member("a", server.endpoint);
  await using b = member("b", way.endpoint);
  await a.untilIds("a", "b");
  await b.untilIds("a", "b");
  way.cut();
  await a.untilIds("a");
  await b.until(() => b.failures.length > 0);
  assertEquals(b.ids, ["a", "b"]);
  way.heal();
  await a.untilIds("a", "b");
  assertEquals(Object.keys(await server.values("/hearsay/orders/")), [
    "/hearsay/orders/a",
    "/hearsay/orders/b",
  ]);
  await using c = member("c", server.endpoint);
  await b.untilIds("a", "b", "c");
  await c.untilIds("a", "b", "c");
});

etcdTest("etcd: a revoked lease and a deleted key are registered again", async () => {
  await using server = await EtcdServer.start();
  await using a = member("a", server.endpoint, { leaseTtl: 30_000 });
  await using b = member("b", server.endpoint, { leaseTtl: 30_000 });
  await a.untilIds("a", "b");
  await b.untilIds("a", "b");
  await server.delete("/hearsay/orders/b");
  // Long before the next check of the lease.
  await a.untilIds("a");
  await a.untilIds("a", "b");
  const { leases } = await server.call("lease/leases", {}) as { leases: { ID: string }[] };
  for (const { ID } of leases) await server.call("lease/revoke", { ID });
  await a.until(() => a.failures.length > 0);
  await a.until(() => topologiesOf(a) > 4);
  await a.untilIds("a", "b");
  await b.untilIds("a", "b");
});

etcdTest(
  "etcd: a member whose key is gone stays in the topology during the grace period, and no longer",
  async () => {
    await using server = await EtcdServer.start();
    await using a = member("a", server.endpoint, { grace: 1_000 });
    const other = JSON.stringify(memberOf("b"));
    await server.put("/hearsay/orders/b", other);
    await a.untilIds("a", "b");
    const before = topologiesOf(a);
    await server.delete("/hearsay/orders/b");
    await server.put("/hearsay/orders/b", other);
    await server.put("/hearsay/orders/c", JSON.stringify(memberOf("c")));
    await a.untilIds("a", "b", "c");
    assertEquals(topologiesOf(a), before + 1);
    const deletedMs = performance.now();
    await server.delete("/hearsay/orders/b");
    await a.untilIds("a", "c");
    assert(performance.now() - deletedMs > 900);
  },
);

etcdTest("etcd: an etcd that lost all its data removes no member", async () => {
  const first = await EtcdServer.start();
  await using way = new Proxy(first.endpoint);
  await using b = member("b", way.endpoint, { grace: 5_000 });
  await using c = member("c", way.endpoint, { grace: 5_000 });
  await b.untilIds("b", "c");
  await c.untilIds("b", "c");
  const before = topologiesOf(b);
  await first[Symbol.asyncDispose]();
  await using second = await EtcdServer.start();
  way.lead(second.endpoint);
  await b.until(() => b.failures.length > 0);
  for (let keys = 0; keys < 2;) keys = Object.keys(await second.values("/hearsay/orders/")).length;
  await using d = member("d", second.endpoint);
  await b.untilIds("b", "c", "d");
  await d.untilIds("b", "c", "d");
  assertEquals(topologiesOf(b), before + 1);
});

Deno.test("etcd: publishes nothing before its first answer, and the failure emits one event", async () => {
  await using a = member("a", `http://127.0.0.1:${freePort()}`);
  await a.until(() => a.failures.length === 2);
  await new Promise((resolve) => setTimeout(resolve, 500));
  assertEquals([a.members, a.failures.length], [[], 2]);
});

etcdTest("etcd: an interrupted watch continues after history was compacted meanwhile", async () => {
  await using server = await EtcdServer.start();
  await using way = new Proxy(server.endpoint);
  await using a = member("a", way.endpoint, { leaseTtl: 30_000 });
  await server.put("/hearsay/orders/b", JSON.stringify(memberOf("b")));
  await a.untilIds("a", "b");
  way.cut();
  await server.delete("/hearsay/orders/b");
  for (const id of ["c", "d"]) await server.put(`/hearsay/orders/${id}`, JSON.stringify(memberOf(id)));
  await server.compact();
  way.heal();
  await a.untilIds("a", "c", "d");
  await server.put("/hearsay/orders/e", JSON.stringify(memberOf("e")));
  await a.untilIds("a", "c", "d", "e");
});

etcdTest("etcd: a watch of a compacted revision rejects with `Compacted`", async () => {
  await using server = await EtcdServer.start();
  await server.put("/hearsay/orders/b", "1");
  await server.put("/hearsay/orders/b", "2");
  await server.compact();
  using client = new EtcdClient({ endpoints: [server.endpoint] }, realRuntime);
  const { signal } = new AbortController();
  const watch = client.watch("/hearsay/orders/", { from: 1n, signal });
  await assertRejects(async () => {
    for await (const changes of watch) assertEquals(changes, []);
  }, Compacted);
});

etcdTest("etcd: a watch that stalls is corrected when all keys are read again", async () => {
  await using server = await EtcdServer.start();
  await using way = new Proxy(server.endpoint);
  await using a = member("a", way.endpoint, { leaseTtl: 30_000, resyncInterval: 500 });
  await a.untilIds("a");
  await server.put("/hearsay/orders/b", JSON.stringify(memberOf("b")));
  await a.untilIds("a", "b");
  // That came by the watch, whose connection is muffled.
  way.muffle();
  await server.put("/hearsay/orders/c", JSON.stringify(memberOf("c")));
  await a.untilIds("a", "b", "c");
});

etcdTest("etcd: uses the endpoint that is up among several", async () => {
  await using server = await EtcdServer.start();
  const endpoints = [
    `http://127.0.0.1:${freePort()}`,
    `http://127.0.0.1:${freePort()}`,
    `${server.endpoint}/`,
  ];
  await using a = member("a", "", { endpoints });
  await a.untilIds("a");
  await using b = member("b", server.endpoint);
  await b.untilIds("a", "b");
  await a.untilIds("a", "b");
});

etcdTest(
  "etcd: sends name and password if etcd needs them, and sends them again when the token has expired",
  async () => {
    await using server = await EtcdServer.start();
    await server.call("auth/user/add", { name: "root", password: "secret" });
    await server.call("auth/role/add", { name: "root" });
    await server.call("auth/user/grant", { user: "root", role: "root" });
    await server.call("auth/enable", {});
    await using stranger = member("x", server.endpoint);
    await stranger.until(() => stranger.failures.length > 0);
    await using a = member("a", server.endpoint, {
      username: "root",
      password: "secret",
      resyncInterval: 500,
    });
    await using b = member("b", server.endpoint, { username: "root", password: "secret" });
    await a.untilIds("a", "b");
    // A change of the password, even to the same one, ends all tokens.
    const { token } = await server.call("auth/authenticate", { name: "root", password: "secret" });
    const changed = { name: "root", password: "secret" };
    await server.call("auth/user/changepw", changed, { authorization: String(token) });
    await a.until(() => a.failures.length > 0);
    await using c = member("c", server.endpoint, { username: "root", password: "secret" });
    await c.untilIds("a", "b", "c");
    await a.untilIds("a", "b", "c");
    await b.untilIds("a", "b", "c");
    assertEquals(stranger.ids, []);
  },
);

Deno.test("etcd: refuses invalid endpoints", () => {
  assertThrows(() => etcd({ endpoints: ["127.0.0.1:2379"] }), ConfigurationError, "http://127.0.0.1:2379");
});

etcdTest("etcd: the record of a member behind a proxy has its URL, so that others can dial it", async () => {
  await using server = await EtcdServer.start();
  const self = { ...memberOf("a"), url: "ws://10.0.0.9:80/orders/a" };
  await using a = new TestContext(etcd({ endpoints: [server.endpoint], grace: 0 }), {
    self,
    cluster: "orders",
  });
  await using b = member("b", server.endpoint);
  await b.untilIds("a", "b");
  assertEquals(b.members[0], self);
  await a.untilIds("a", "b");
});
