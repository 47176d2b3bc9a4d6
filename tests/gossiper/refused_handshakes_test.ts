import { assertEquals } from "../../deps/std_assert.ts";
import type { HandshakeRefused } from "../../contracts/events.ts";
import { RefusedHandshakes } from "../../gossiper/refused_handshakes.ts";
import { join } from "../../node/join.ts";
import type { Hello } from "../../protocol/message.ts";
import { refuse } from "../../protocol/refusal.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { TestCluster } from "../requirements/harness.ts";

function helloOf(id: string, options: Partial<Hello> = {}): Hello {
  return { cluster: "red", member: { id, host: "10.0.0.5", port: 7001, kinds: [] }, ...options } as Hello;
}

/** The reports of a member of the cluster "blue". */
function reports() {
  const [emitted, runtime]: [HandshakeRefused[], VirtualRuntime] = [[], new VirtualRuntime()];
  const publish = (event: HandshakeRefused) => void emitted.push(event);
  return { emitted, runtime, handshakes: new RefusedHandshakes({ cluster: "blue", runtime, publish }) };
}

Deno.test("RefusedHandshakes: names the cluster, the address and the id of a peer of another cluster", () => {
  const { emitted, handshakes } = reports();
  handshakes.refused(helloOf("b"), refuse("wrong_cluster", 'The cluster must be "blue"; got another.'));
  assertEquals(emitted, [{
    type: "HandshakeRefused",
    peerId: "b",
    code: "wrong_cluster",
    reason: 'The peer "b" at 10.0.0.5:7001 is of the cluster "red"; this member is of "blue".',
  }]);
});

Deno.test("RefusedHandshakes: emits each reason once for each peer, until a handshake with it succeeds", () => {
  const { emitted, handshakes } = reports();
  const [busy, unknown] = [refuse("busy", "Full."), refuse("unknown_member", "b is no member.")];
  for (let count = 0; count < 3; count++) {
    handshakes.refused(helloOf("b"), busy);
    handshakes.refused(helloOf("b"), unknown);
  }
  const seen = () => emitted.map(({ code, reason }) => `${code} ${reason}`);
  const each = [
    'busy The peer "b" at 10.0.0.5:7001: Full.',
    'unknown_member The peer "b" at 10.0.0.5:7001: b is no member.',
  ];
  assertEquals(seen(), each);
  handshakes.succeeded("b");
  handshakes.refused(helloOf("b"), busy);
  assertEquals(seen(), [...each, each[0]!]);
});

Deno.test("RefusedHandshakes: emits no event for refusals that have another event, or that are part of a departure", () => {
  const { emitted, handshakes } = reports();
  const settings = {} as never;
  for (
    const refusal of [
      refuse("stopped", "Leaving."),
      refuse("blocked", "Blocked.", { reason: "expired" }),
      refuse("incompatible", "The settings do not fit.", { settings }),
      refuse("id_conflict", "Used later.", { incarnation: "018bcfe56800-1f3a9c02" }),
    ]
  ) handshakes.refused(helloOf("b"), refusal);
  assertEquals(emitted, []);
});

Deno.test("RefusedHandshakes: emits at most ten in a second, whatever ids a client invents", async () => {
  const { emitted, handshakes, runtime } = reports();
  const refuseMany = () => {
    for (let id = 0; id < 100; id++) handshakes.refused(helloOf(`${id}`), refuse("busy", "Full."));
  };
  refuseMany();
  assertEquals(emitted.length, 10);
  await runtime.advance(1_000);
  refuseMany();
  assertEquals(emitted.length, 20);
});

Deno.test("RefusedHandshakes: escapes the texts of a peer", () => {
  const { emitted, handshakes } = reports();
  handshakes.refused(helloOf("b", { cluster: "\u001b[2J" }), refuse("wrong_cluster", "Wrong."));
  assertEquals(emitted[0]!.reason.includes("\u001b"), false);
});

Deno.test("handshake: a member that refuses a peer of another cluster emits an event (P1)", async () => {
  await using blue = await join({ cluster: "blue", listen: { port: 0 } });
  const refused = blue.events.subscribe("HandshakeRefused").getReader();
  await using red = await join({ cluster: "red", id: "red", listen: { port: 0 }, seeds: [blue.address] });
  const { value } = await refused.read();
  assertEquals([value!.peerId, value!.code], ["red", "wrong_cluster"]);
  assertEquals(value!.reason.includes(new URL(red.address).host), true);
});

Deno.test("handshake: a peer that was admitted is reported again when it is refused (P1)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { fixed: false });
  const a = cluster.of("a");
  await cluster.publish(["a", "b"], { to: ["b"] });
  await cluster.runUntil(() => a.emitted("HandshakeRefused").length > 0);
  assertEquals(a.emitted("HandshakeRefused").map(({ peerId, code }) => `${peerId} ${code}`), [
    "b unknown_member",
  ]);
  await cluster.publish(["a", "b"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.publish(["a"], { to: ["a"] });
  cluster.breakConnections("b");
  await cluster.runUntil(() => a.emitted("HandshakeRefused").length > 1);
});
