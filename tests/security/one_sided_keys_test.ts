import { assertEquals, assertStringIncludes } from "../../deps/std_assert.ts";
import { join, type JoinOptions, type Node } from "../../mod.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";

const KEYS = [await newClusterKey()];
const CONFIG = { gossipInterval: 50, maxBackoff: 50, heartbeatExpiration: 2_000 };

function member(options: Partial<JoinOptions>): Promise<Node> {
  return join({ cluster: "orders", listen: { port: 0 }, config: CONFIG, ...options });
}

/** The text of the first failed dial of a member's seed. */
async function failureOf(node: Node): Promise<string> {
  const signal = AbortSignal.timeout(10_000);
  for await (const { error } of node.events.subscribe("SeedFailed", { signal })) return String(error);
  throw new Error("No dial failed.");
}

/** Resolves once a member has dialed its seed again: each handshake would count as proof of life. */
async function dialedAgain(node: Node): Promise<void> {
  const attempt = () => node.snapshot().seeds[0]!.lastAttemptUnixMilliseconds;
  const first = attempt();
  while (attempt() === first) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Lets a member dial another one that it will refuse; returns the text of its failure and the ids of who joined. */
async function refusedBy(dialer: Partial<JoinOptions>, acceptor: Partial<JoinOptions>) {
  const c = await member({ id: "c", ...acceptor });
  const joined = Array.fromAsync(c.events.subscribe("MemberJoined"));
  const refused = Array.fromAsync(c.events.subscribe("ClientRefused"));
  const d = await member({ ...dialer, seeds: [c.address] });
  const failure = await failureOf(d);
  await dialedAgain(d);
  const seen = [c.members.length, d.members.length];
  // A stream of events ends at the stop without its unread events.
  c.events.close();
  const outcome = {
    failure,
    seen,
    joined: await joined,
    reasons: (await refused).map(({ reason }) => reason),
  };
  await Promise.all([c.stop(), d.stop()]);
  return outcome;
}

Deno.test("handshake: a member without keys does not count a member with keys as alive, and names the reason (P1)", async () => {
  const { failure, seen, joined, reasons } = await refusedBy({ authentication: { keys: KEYS } }, {});
  assertEquals([seen, joined], [[1, 1], []]);
  assertEquals(reasons, [
    "This client has cluster keys (`authentication`) and this member has none; both need a common key.",
  ]);
  assertStringIncludes(failure, "refused this member (403). The peer may have no keys (`authentication`)");
});

Deno.test("handshake: a member that does not sign does not count a member that signs as alive (P1)", async () => {
  const { failure, seen, joined } = await refusedBy(
    { authentication: { keys: KEYS, sign: true } },
    { authentication: { keys: KEYS } },
  );
  assertEquals([seen, joined], [[1, 1], []]);
  assertStringIncludes(
    failure,
    "Members of this cluster must not sign their state; this handshake has a key.",
  );
});
