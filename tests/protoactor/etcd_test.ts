import { assert, assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { protoactorEtcd } from "../../protoactor/discovery.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { EtcdServer, etcdTest } from "../discovery/etcd_server.ts";
import { memberOf, TestContext } from "../discovery/context.ts";

function member(id: string, etcd: EtcdServer): TestContext {
  const discovery = protoactorEtcd({ endpoints: [etcd.endpoint], leaseTtl: 1_000 });
  return new TestContext(discovery, { self: memberOf(id), cluster: "orders" });
}

/** The value of protoactor-go under its key: the names and types of its `Node`. */
function goNode(id: string, more: Readonly<Record<string, unknown>> = {}): string {
  const name = `orders@${id}`;
  const place = { host: "10.0.0.9", address: "10.0.0.9", port: 8090 };
  return JSON.stringify({ id: name, name, ...place, kinds: ["grain"], alive: true, ...more });
}

etcdTest(
  "protoactor etcd: a member is at /protoactor/<cluster>/<cluster>@<id>, under the names that protoactor-go reads",
  async () => {
    await using etcd = await EtcdServer.start();
    await using a = member("a", etcd);
    await using b = member("b", etcd);
    await a.untilIds("a", "b");
    await b.untilIds("a", "b");
    const values = await etcd.values("/protoactor/");
    assertEquals(Object.keys(values), ["/protoactor/orders/orders@a", "/protoactor/orders/orders@b"]);
    assertEquals(JSON.parse(values["/protoactor/orders/orders@a"]!), {
      id: "orders@a",
      name: "orders@a",
      host: "127.0.0.1",
      address: "127.0.0.1",
      port: 7001,
      kinds: ["worker"],
      alive: true,
    });
  },
);

etcdTest(
  "protoactor etcd: a registration of protoactor-go is a member under its own id, and a registration of another cluster is ignored",
  async () => {
    await using etcd = await EtcdServer.start();
    await etcd.put("/protoactor/orders/orders@go1", goNode("go1"));
    await etcd.put("/protoactor/orders2/orders2@x", goNode("x"));
    await using a = member("a", etcd);
    await a.untilIds("a", "go1");
    assertEquals(a.members[1], { id: "go1", host: "10.0.0.9", port: 8090, kinds: ["grain"] });
    await etcd.put("/protoactor/orders/orders@go2", goNode("go2", { host: "", kinds: null }));
    await a.untilIds("a", "go1", "go2");
    assertEquals(a.members[2], { id: "go2", host: "10.0.0.9", port: 8090, kinds: [] });
    await etcd.put("/protoactor/orders/orders@go2", goNode("go2", { alive: false }));
    await a.untilIds("a", "go1");
    await etcd.delete("/protoactor/orders/orders@go1");
    await a.untilIds("a");
  },
);

etcdTest("protoactor etcd: ignores keys that are not nodes", async () => {
  await using etcd = await EtcdServer.start();
  const wrong = ["", "{", "null", "[]", "7", goNode("x", { port: "1" }), goNode("x", { id: 7 })];
  for (const [at, text] of wrong.entries()) await etcd.put(`/protoactor/orders/w${at}`, text);
  await etcd.put("/protoactor/orders/orders@go", goNode("go"));
  await using a = member("a", etcd);
  await a.untilIds("a", "go");
});

etcdTest(
  "protoactor etcd: a member that stops is removed from etcd at once, and a killed member when its lease ends",
  async () => {
    await using etcd = await EtcdServer.start();
    await using a = member("a", etcd);
    const b = member("b", etcd);
    await a.untilIds("a", "b");
    await b[Symbol.asyncDispose]();
    assertEquals(Object.keys(await etcd.values("/protoactor/")), ["/protoactor/orders/orders@a"]);
    await a.untilIds("a");
    const { ID } = await etcd.call("lease/grant", { TTL: "1" });
    const key = btoa("/protoactor/orders/orders@dead");
    await etcd.call("kv/put", { key, value: btoa(goNode("dead")), lease: ID });
    await a.untilIds("a", "dead");
    await a.untilIds("a");
  },
);

etcdTest("protoactor etcd: renews the lease before it ends", async () => {
  await using etcd = await EtcdServer.start();
  await using a = member("a", etcd);
  await using b = member("b", etcd);
  await a.untilIds("a", "b");
  await new Promise((resolve) => setTimeout(resolve, 3_500));
  assertEquals(a.events.filter(({ type }) => type === "ClusterTopology").length, 2);
  assert(b.ids.includes("a"));
  assertEquals(a.failures, []);
});

Deno.test("protoactor etcd: refuses invalid endpoints", () => {
  for (const endpoint of ["127.0.0.1:2379", "ftp://a", "", 7]) {
    assertThrows(
      () => protoactorEtcd({ endpoints: [endpoint as string] }),
      ConfigurationError,
      "http://127.0.0.1:2379",
    );
  }
});
