import { assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { dns, type DnsOptions, seeds } from "../../mod.ts";
import { DnsServer, dnsTest } from "./dns_server.ts";
import { memberOf, TestContext } from "./context.ts";

/** A source with frequent lookups, and the context that records its dials. */
function lookingFor(name: string, server: DnsServer, options: DnsOptions = {}): TestContext {
  const { nameServer } = server;
  return new TestContext(dns(name, { nameServer, interval: 50, ...options }), { self: memberOf("a") });
}

dnsTest("DNS: dials all addresses of a name, IPv4 and IPv6, and addresses that are added later", async () => {
  await using server = await DnsServer.start({
    hosts: { "orders.test": ["10.0.0.1", "10.0.0.2", "fd00::1"] },
  });
  await using context = lookingFor("orders.test", server, { port: 7001 });
  await context.untilGreeted("ws://10.0.0.1:7001", "ws://10.0.0.2:7001", "ws://[fd00::1]:7001");
  await server.set({ hosts: { "orders.test": ["10.0.0.2", "10.0.0.3"] } });
  await context.until(() => context.greetings.includes("ws://10.0.0.3:7001"));
  await context.untilGreeted("ws://10.0.0.2:7001", "ws://10.0.0.3:7001");
});

dnsTest("DNS: dials services at the addresses of their targets, each at its port", async () => {
  const services = { "_gossip._tcp.orders.test": ["one.test:7001", "two.test:7002", "gone.test:7003"] };
  const hosts = { "one.test": ["10.0.0.1"], "two.test": ["10.0.0.2", "fd00::2"] };
  await using server = await DnsServer.start({ services, hosts });
  await using context = lookingFor("_gossip._tcp.orders.test", server);
  await context.untilGreeted("ws://10.0.0.1:7001", "ws://10.0.0.2:7002", "ws://[fd00::2]:7002");
  assertEquals(context.failures, []);
});

dnsTest("DNS: with TLS dials the targets of services by their names", async () => {
  const services = { "_gossip._tcp.orders.test": ["one.test:7001"] };
  await using server = await DnsServer.start({ services });
  await using context = lookingFor("_gossip._tcp.orders.test", server, { secure: true });
  await context.untilGreeted("wss://one.test:7001");
});

dnsTest("DNS: a name without records emits one event, and its earlier addresses are kept", async () => {
  await using server = await DnsServer.start();
  await using context = lookingFor("orders.test", server, { port: 7001 });
  await context.until(() => context.failures.length > 0);
  await server.set({ hosts: { "orders.test": ["10.0.0.1"] } });
  await context.untilGreeted("ws://10.0.0.1:7001");
  await server.set({});
  await context.until(() => context.failures.length > 1);
  await context.untilGreeted("ws://10.0.0.1:7001");
  await new Promise((resolve) => setTimeout(resolve, 300));
  assertEquals(context.failures, ["DNS name orders.test", "DNS name orders.test"]);
});

dnsTest(
  "DNS: a seed that is a name is dialed at all its addresses and by its name, and resolved again",
  async () => {
    await using server = await DnsServer.start({ hosts: { "seed.test": ["10.0.0.1", "10.0.0.2"] } });
    const { nameServer } = server;
    const source = seeds(["ws://seed.test:7001", "ws://10.0.0.9:7001", "wss://seed.test:7002"], {
      nameServer,
      resolveInterval: 50,
    });
    await using context = new TestContext(source, { self: memberOf("a") });
    // This process may dial loopback only, so that an address of a `wss` seed is not dialed.
    const steady = ["ws://10.0.0.9:7001", "wss://seed.test:7002", "ws://seed.test:7001"];
    await context.untilGreeted("ws://10.0.0.1:7001", "ws://10.0.0.2:7001", ...steady);
    await server.set({ hosts: { "seed.test": ["10.0.0.3"] } });
    await context.until(() => context.greetings.includes("ws://10.0.0.3:7001"));
    await context.untilGreeted("ws://10.0.0.3:7001", ...steady);
  },
);

dnsTest("DNS: a seed's name is resolved again soon while no other member is at its addresses", async () => {
  await using server = await DnsServer.start({ hosts: { "seed.test": ["10.0.0.1"] } });
  const source = seeds(["ws://seed.test:7001"], { nameServer: server.nameServer, resolveInterval: 60_000 });
  await using context = new TestContext(source, { self: memberOf("a") });
  await context.until(() => context.greetings.includes("ws://10.0.0.1:7001"));
  await server.set({ hosts: { "seed.test": ["10.0.0.3"] } });
  await context.until(() => context.greetings.includes("ws://10.0.0.3:7001"));
});

dnsTest("DNS: a seed whose name the name server does not know is dialed unresolved", async () => {
  await using server = await DnsServer.start();
  const { nameServer } = server;
  await using context = new TestContext(seeds(["ws://seed.test:7001"], { nameServer, resolveInterval: 50 }), {
    self: memberOf("a"),
  });
  await context.untilGreeted("ws://seed.test:7001");
  await server.set({ hosts: { "seed.test": ["10.0.0.3"] } });
  await context.until(() => context.greetings.includes("ws://10.0.0.3:7001"));
  await context.untilGreeted("ws://10.0.0.3:7001", "ws://seed.test:7001");
});

const mayDialLoopback = { net: ["127.0.0.1"] };
Deno.test("DNS: without the permission to resolve a seed's name, the seed is dialed by its name", {
  permissions: mayDialLoopback,
}, async () => {
  await using context = new TestContext(seeds(["ws://seed.test:7001"]), { self: memberOf("a") });
  await context.untilGreeted("ws://seed.test:7001");
});

Deno.test("DNS: refuses invalid names and ports", () => {
  for (const name of ["", "a b", "ws://a", "a:1", 7]) {
    assertThrows(() => dns(name as string), ConfigurationError, "orders.default.svc.cluster.local");
  }
  for (const port of [0, 65_536, 1.5]) {
    assertThrows(() => dns("a", { port }), ConfigurationError, String(port));
  }
});

dnsTest("DNS: ignores services with an invalid target or port", async () => {
  const services = { "_gossip._tcp.orders.test": ["one.test:7001", "x@one.test:7002", "two.test:0"] };
  await using server = await DnsServer.start({ services });
  await using context = lookingFor("_gossip._tcp.orders.test", server, { secure: true });
  await context.untilGreeted("wss://one.test:7001");
});
