/**
 * Three members agree on a configuration version before any of them uses it: `deno task consensus`.
 *
 * Each member reads the new version at another time. It waits for consensus before it uses the version, and stops using
 * it when the consensus is lost.
 *
 * @module
 */

import { join, type JsonValue, type Node, printable } from "../mod.ts";
import { readFlags } from "./flags.ts";

const USAGE = `
Three members in one process agree on a version before any of them uses it.

  --help   this text
`;
readFlags({ usage: USAGE });

const started = performance.now();
const signal = AbortSignal.timeout(10_000);

await using ada = await joinAs("ada");
await using ben = await joinAs("ben", ada);
await using cleo = await joinAs("cleo", ada);
const nodes = [ada, ben, cleo];
await Promise.all(nodes.map(meetingAll));
say("", "three members have joined");

// The check reads the version alone: other fields of the value may differ.
const checks = nodes.map((node) =>
  node.registerConsensusCheck("configuration", versionOf, {
    onReached: (version) => say(node.id, `uses version ${version}: all members have it`),
    onLost: () => say(node.id, "waits: not all members have the same version"),
  })
);

await everyoneReads(1);
await everyoneReads(2);
say("", "done: all members leave");

/** Every member reads the version, one after another. Resolves when all checks report it. */
async function everyoneReads(version: number): Promise<void> {
  for (const [index, node] of nodes.entries()) {
    say(node.id, `reads version ${version}`);
    // The acknowledgement of all keeps the lines of the output in order.
    await node.setStateRequest("configuration", { version, readBy: node.id }, {
      signal,
      acknowledgedBy: "all",
    });
    const dissenters = checks[index]!.dissenters();
    if (dissenters.length > 0) say("", `out of step: ${printable(dissenters.join(", "))}`);
  }
  const versions = await Promise.all(checks.map((check) => check.reached({ signal })));
  if (versions.some((agreed) => agreed !== version)) {
    throw new Error(`The members agree on ${versions.join(", ")}; expected ${version}.`);
  }
}

async function joinAs(id: string, seed?: Node): Promise<Node> {
  const seeds = seed ? [seed.address] : [];
  return await join({
    cluster: "consensus",
    id,
    listen: { port: 0 },
    seeds,
    config: { gossipInterval: 100 },
  });
}

/** Resolves when a member has all three members in its list. */
async function meetingAll(node: Node): Promise<void> {
  for await (const _ of node.events.subscribe("GossipUpdate", { signal })) {
    if (node.members.filter(({ status }) => status === "alive").length === 3) return;
  }
  signal.throwIfAborted();
}

function versionOf(configuration: JsonValue): unknown {
  return (configuration as { readonly version?: JsonValue } | null)?.version;
}

function say(id: string, text: string): void {
  const time = `+${((performance.now() - started) / 1_000).toFixed(3)} s`;
  console.log(`${time.padStart(10)}  ${id.padEnd(4)}  ${text}`);
}
