/**
 * Three members agree on a version of their configuration before any of them acts on it:
 * `deno task consensus`.
 *
 * Each has read the new version at a time of its own. None may use it before all have it; so each waits for
 * consensus, and stops using it when the consensus is lost.
 *
 * @module
 */

import { join, type JsonValue, type Node, printable } from "../mod.ts";
import { readFlags } from "./flags.ts";

const USAGE = `
Three members in one process agree on a version before any acts on it.

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
say("", "three members know each other");

// Each looks at the version alone: the rest of what they publish may differ.
const checks = nodes.map(({ gossiper, member: { id } }) =>
  gossiper.registerConsensusCheck("configuration", versionOf, {
    onReached: (version) => say(id, `all have version ${version}, so I use it`),
    onLost: () => say(id, "not all have the same version, so I wait"),
  })
);

await everyoneReads(1);
await everyoneReads(2);
say("", "that was all: they leave");

/** Every member reads a version, one after the other; resolves when each knows that all have. */
async function everyoneReads(version: number): Promise<void> {
  for (const [index, { gossiper, member: { id } }] of nodes.entries()) {
    say(id, `I have read version ${version}`);
    // Told to all before the next one follows, so that the story has an order.
    await gossiper.setStateRequest("configuration", { version, readBy: id }, {
      signal,
      acknowledgedBy: "all",
    });
    const dissenters = checks[index]!.dissenters();
    if (dissenters.length > 0) say("", `out of step: ${printable(dissenters.join(", "))}`);
  }
  const versions = await Promise.all(checks.map((check) => check.reached({ signal })));
  if (versions.some((agreed) => agreed !== version)) throw new Error(`They agree on ${versions.join(", ")}.`);
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

/** Resolves when a member sees all three. */
async function meetingAll({ gossiper }: Node): Promise<void> {
  for await (const _ of gossiper.events.subscribe("GossipUpdate", { signal })) {
    if (gossiper.members.filter(({ status }) => status === "active").length === 3) return;
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
