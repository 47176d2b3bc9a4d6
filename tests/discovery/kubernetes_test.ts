import { assert, assertEquals, assertMatch, assertThrows } from "../../deps/std_assert.ts";
import { kubernetes, type KubernetesOptions } from "../../discovery/kubernetes/kubernetes.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { makeCertificates, withoutOpenssl } from "./certificates.ts";
import { KubernetesStandIn } from "./kubernetes_server.ts";
import { memberOf, TestContext } from "./context.ts";

/** A source of a stand-in. */
function asking(standIn: KubernetesStandIn, options: Partial<KubernetesOptions> = {}): TestContext {
  const { server, serviceAccount } = standIn;
  const discovery = kubernetes({
    labelSelector: "app=orders",
    port: 7001,
    server,
    serviceAccount,
    ...options,
  });
  return new TestContext(discovery, { self: memberOf("a") });
}

function untilGreeted(context: TestContext, ...ips: readonly string[]): Promise<void> {
  return context.untilGreeted(...ips.map((ip) => `ws://${ip}:7001`));
}

Deno.test("kubernetes: dials all pods of all pages, also added, changed and removed pods", async () => {
  await using standIn = await KubernetesStandIn.start();
  for (const at of [1, 2, 3, 4, 5]) standIn.set(`pod-${at}`, { ip: `10.0.0.${at}` });
  await using context = asking(standIn);
  await untilGreeted(context, "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5");
  assertEquals(standIn.asked.slice(0, 3).map((query) => query.get("continue")), [null, "2", "4"]);
  for (const query of standIn.asked) assertEquals(query.get("labelSelector"), "app=orders");
  for (const at of [2, 3, 4, 5]) standIn.delete(`pod-${at}`);
  standIn.set("pod-6", { phase: "Pending" });
  await untilGreeted(context, "10.0.0.1");
  standIn.set("pod-6", { ip: "10.0.0.6" });
  await context.until(() => context.greetings.includes("ws://10.0.0.6:7001"));
  standIn.set("pod-1", { ip: "10.0.0.1", isLeaving: true });
  await untilGreeted(context, "10.0.0.6");
  assertEquals(context.failures, []);
});

Deno.test("kubernetes: dials a pod that is not ready, and no pod that has ended or has no address", async () => {
  await using standIn = await KubernetesStandIn.start();
  standIn.set("ended", { ip: "10.0.0.1", phase: "Succeeded" });
  standIn.set("nowhere", {});
  standIn.set("odd", { ip: "evil.example/" });
  standIn.set("new", { ip: "fd00::7" });
  await using context = asking(standIn);
  await untilGreeted(context, "[fd00::7]");
});

Deno.test("kubernetes: the port may be the name of a container's port", async () => {
  await using standIn = await KubernetesStandIn.start();
  standIn.set("a", { ip: "10.0.0.1", port: 7007 });
  await using context = asking(standIn, { port: "gossip", secure: true });
  await context.until(() => context.greetings.includes("wss://10.0.0.1:7007"));
  await using none = asking(standIn, { port: "other" });
  await none.until(() => standIn.watches === 2);
  assertEquals(none.greetings, []);
});

Deno.test("kubernetes: a watch that closes continues at the last bookmark, without a new list", async () => {
  await using standIn = await KubernetesStandIn.start();
  standIn.set("a", { ip: "10.0.0.1" });
  await using context = asking(standIn);
  await untilGreeted(context, "10.0.0.1");
  await context.until(() => standIn.watches === 1);
  standIn.bookmark();
  // From below the bookmark it could not continue.
  standIn.compact();
  standIn.closeWatches();
  standIn.set("b", { ip: "10.0.0.2" });
  await context.until(() => context.greetings.includes("ws://10.0.0.2:7001"));
  assertEquals(standIn.lists, 1);
  assertEquals(context.failures, []);
});

Deno.test("kubernetes: a 410 in an event, a status or an answer causes a new list", async () => {
  await using standIn = await KubernetesStandIn.start();
  standIn.set("a", { ip: "10.0.0.1" });
  await using context = asking(standIn);
  await context.until(() => standIn.watches === 1);
  standIn.delete("a");
  standIn.set("b", { ip: "10.0.0.2" });
  standIn.expire();
  await context.until(() => standIn.lists === 2 && standIn.watches === 1);
  await untilGreeted(context, "10.0.0.2");
  // While no watch was open, history was dropped.
  standIn.closeWatches();
  standIn.set("c", { ip: "10.0.0.3" });
  standIn.compact();
  await context.until(() => standIn.lists === 3 && standIn.watches === 1);
  await untilGreeted(context, "10.0.0.2", "10.0.0.3");
  standIn.failure = () => new Response("gone", { status: 410 });
  standIn.closeWatches();
  const { length } = standIn.asked;
  await context.until(() => standIn.asked.length > length + 1);
  standIn.failure = undefined;
  standIn.set("d", { ip: "10.0.0.4" });
  await context.until(() => context.greetings.includes("ws://10.0.0.4:7001"));
  assertEquals(context.failures, []);
});

Deno.test("kubernetes: reads the token again after it was replaced", async () => {
  await using standIn = await KubernetesStandIn.start();
  await using context = asking(standIn);
  await context.until(() => standIn.watches === 1);
  await standIn.rotateToken("second");
  standIn.set("a", { ip: "10.0.0.1" });
  standIn.expire();
  await context.until(() => standIn.lists === 2 && standIn.watches === 1);
  await untilGreeted(context, "10.0.0.1");
});

Deno.test("kubernetes: a refusal emits an event with its text, and the known pods are kept", async () => {
  await using standIn = await KubernetesStandIn.start();
  standIn.set("a", { ip: "10.0.0.1" });
  await using context = asking(standIn);
  await untilGreeted(context, "10.0.0.1");
  const message = 'pods is forbidden: User "system:serviceaccount:shop:default" cannot list resource "pods"';
  standIn.failure = () => Response.json({ kind: "Status", code: 403, message }, { status: 403 });
  standIn.expire();
  await context.until(() => context.failures.length === 1);
  const failed = context.events.find((event) => event.type === "DiscoveryFailed");
  assert(String(failed?.error).includes("pods is forbidden"), String(failed?.error));
  await untilGreeted(context, "10.0.0.1");
});

Deno.test("kubernetes: an invalid answer emits an event and causes a new list", async () => {
  for (
    const line of ["{", "null", "7", '{"type":"ADDED"}', '{"type":"ADDED","object":{}}', '{"type":"ERROR"}']
  ) {
    await using standIn = await KubernetesStandIn.start();
    await using context = asking(standIn);
    await context.until(() => standIn.watches === 1);
    standIn.babble(line);
    standIn.set("a", { ip: "10.0.0.1" });
    await context.until(() => context.failures.length === 1);
    await untilGreeted(context, "10.0.0.1");
    assertEquals(context.failures.length, 1, line);
  }
});

Deno.test("kubernetes: an endless list emits an event, and so does a watch that names ever more pods", async () => {
  await using standIn = await KubernetesStandIn.start();
  let pages = 0;
  standIn.failure = () => Response.json({ items: [], metadata: { continue: `${++pages}` } });
  await using context = asking(standIn);
  const errors = () =>
    context.events.flatMap((event) => event.type === "DiscoveryFailed" ? [String(event.error)] : []);
  await context.until(() => errors().length > 0);
  assertMatch(errors()[0]!, /The list must have at most 1000 pages/);
  let asked = 0;
  standIn.failure = () => {
    if (asked++ === 0) return Response.json({ items: [], metadata: { resourceVersion: "1" } });
    const pod = (at: number) => ({
      type: "ADDED",
      object: { metadata: { name: `pod-${at}` }, status: { phase: "Running", podIP: `10.0.0.${at % 250}` } },
    });
    return new Response(Array.from({ length: 4_097 }, (_, at) => `${JSON.stringify(pod(at))}\n`).join(""));
  };
  await context.until(() => errors().length > 1);
  assertMatch(errors()[1]!, /At most 4096 pods may run/);
});

Deno.test("Kubernetes: a folder without a token emits an event, and an invalid selector or port is refused", async () => {
  const options = { labelSelector: "app=orders", port: 7001, serviceAccount: "/nowhere" };
  await using context = new TestContext(kubernetes(options), { self: memberOf("a") });
  await context.until(() => context.failures.length > 0);
  assertThrows(() => kubernetes({ ...options, labelSelector: "" }), ConfigurationError, "app=orders");
  for (const port of [0, 65_536, ""]) {
    assertThrows(() => kubernetes({ ...options, port }), ConfigurationError, "port");
  }
});

Deno.test({
  name: `kubernetes: trusts only the authority in the service account's folder${
    withoutOpenssl === undefined ? "" : ` (skipped: ${withoutOpenssl})`
  }`,
  ignore: withoutOpenssl !== undefined,
  async fn() {
    const [mine, other] = [await makeCertificates(), await makeCertificates()];
    await using standIn = await KubernetesStandIn.start(mine);
    standIn.set("a", { ip: "10.0.0.1" });
    await using context = asking(standIn);
    await untilGreeted(context, "10.0.0.1");
    await Deno.writeTextFile(`${standIn.serviceAccount}/ca.crt`, other.ca);
    await using wrong = asking(standIn);
    await wrong.until(() => wrong.failures.length > 0);
    assertEquals(wrong.greetings, []);
  },
});
