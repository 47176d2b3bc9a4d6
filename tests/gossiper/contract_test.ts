import { assertEquals, assertInstanceOf } from "../../deps/std_assert.ts";
import type { GossiperLike } from "../../gossiper/contract.ts";
import { Gossiper } from "../../gossiper/gossiper.ts";
import { TestCluster } from "../requirements/harness.ts";

Deno.test("Gossiper: implements the whole interface (R1.1)", async () => {
  await using cluster = new TestCluster(["a"]);
  const gossiper: GossiperLike = cluster.make("a").gossiper;
  assertInstanceOf(gossiper, Gossiper);
  // The type makes the compiler report every member that is added to the interface.
  const kinds: Record<keyof GossiperLike, string> = {
    block: "function",
    blockedMembers: "object",
    closed: "object",
    converged: "function",
    deleteState: "function",
    events: "object",
    explain: "function",
    getAll: "function",
    getState: "function",
    id: "string",
    keys: "function",
    members: "object",
    phase: "string",
    registerConsensusCheck: "function",
    removeConsensusCheck: "function",
    seenBy: "function",
    setState: "function",
    setStateRequest: "function",
    signal: "object",
    snapshot: "function",
    start: "function",
    stop: "function",
    unblock: "function",
    watch: "function",
    watchMembers: "function",
    whenMembers: "function",
    [Symbol.asyncDispose]: "function",
  };
  for (const name of Reflect.ownKeys(kinds) as (keyof GossiperLike)[]) {
    assertEquals(typeof gossiper[name], kinds[name], String(name));
  }
});
