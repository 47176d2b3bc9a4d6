/**
 * A memory across restarts: a file of recent peers and of this member's id, so that a restarted process finds its
 * cluster when every seed is down.
 *
 * ```ts
 * import { join, seeds } from "@hearsay/gossip";
 * import { remember } from "@hearsay/gossip/memory";
 *
 * const folder = await Deno.makeTempDir();
 * await using memory = await remember(`${folder}/peers.json`, { cluster: "orders" });
 * await using node = await join({
 *   cluster: "orders",
 *   id: memory.id,
 *   listen: { port: 0 },
 *   discovery: memory.discovery(seeds(["ws://127.0.0.1:7001"])),
 * });
 * console.assert(node.id === memory.id);
 * ```
 *
 * @module
 */

import { assertDeno } from "../../common/needs_deno.ts";
import { newId } from "../../common/new_id.ts";
import { realRuntime, type Runtime } from "../../common/runtime.ts";
import type { Discovery, Member } from "../../contracts/cluster.ts";
import { DISCOVERY } from "../../contracts/discovery_rule.ts";
import { CLUSTER_NAME } from "../../options/member_rules.ts";
import { assertNone, integer, optionsOf, rule, RUNTIME, TEXT } from "../../options/rules.ts";
import { anyOf } from "../any_of.ts";
import { duration } from "../checks.ts";
import { Recollection } from "./recollection.ts";
import { MAX_PEERS } from "./remembered_peers.ts";

export type { Runtime } from "../../common/runtime.ts";
export type { Discovery, Member } from "../../contracts/cluster.ts";

/** Options of {@linkcode remember}. */
export interface MemoryOptions {
  /** The cluster's name, as for `join`. A file of another cluster is not used and not changed. */
  readonly cluster: string;
  /**
   * The most peers in the file, from 1 to 1,024; 64 by default. Lower: more likely, no peer of the file runs at the
   * next start. Higher: more dials at the start, and a larger file.
   */
  readonly maxPeers?: number;
  /**
   * The time for which an inactive peer is kept, in milliseconds; 604,800,000 (7 days) by default, and at least 1,000.
   * Lower: a process that was off for longer remembers no peer. Higher: the process dials addresses that may have other
   * owners by now.
   */
  readonly maxAge?: number;
  /**
   * The least time between two writes of the file, in milliseconds; 5,000 by default, and at least 100. Lower: more
   * writes while members come and go. Higher: after a kill, fewer of the last peers are in the file.
   */
  readonly writeInterval?: number;
  /** Clock, timers and random numbers; the real ones by default. */
  readonly runtime?: Runtime;
}

const OPTIONS = optionsOf<MemoryOptions>({
  cluster: CLUSTER_NAME,
  maxPeers: integer({ least: 1, most: MAX_PEERS }),
  maxAge: duration({ leastMs: 1_000 }),
  writeInterval: duration({ leastMs: 100 }),
  runtime: RUNTIME,
}, ["cluster"]);

/** Refuses a source that lists its members: remembered peers are not in the list, so they would be ignored. */
const OPEN: typeof DISCOVERY = (field, given) => {
  const problems = DISCOVERY(field, given);
  if (problems.length > 0) return problems;
  return rule((source) => (source as Discovery).openMembership, {
    problem: "must learn its members by handshakes",
    allowed: "`seeds`, `dns` or `kubernetes`, because a remembered peer may be missing in a list of members",
    show: () => "a list of members",
  })(field, given);
};

/** The memory of one member. Disposal frees its file. */
export interface Memory extends AsyncDisposable {
  /**
   * The id of the last run, for `join`; a new id if there is no usable file. With `authentication: { sign: true }` do
   * not pass it to `join`, because the id is the public key: use `signingKeyFromFile` instead.
   */
  readonly id: string;
  /** The peers of the last run, the last active first. They may have stopped since. */
  readonly peers: readonly Member[];
  /**
   * The reason why the file is not used: it is damaged, too large, of another version or cluster, or used by another
   * process; a permission is missing; or the disk did not answer within five seconds. `undefined` if the file is used,
   * even if it did not exist before. The member works without the file, publishes the reason as `DiscoveryFailed`, and
   * tries the file again once a minute.
   */
  readonly problem: Error | undefined;
  /**
   * A discovery for `join`, which dials the remembered peers beside the given sources. It also writes the file, from
   * the start of the member to its end. A source that lists its members, such as `etcd`, is refused.
   *
   * @throws {ConfigurationError} for a source that does not learn its members by handshakes.
   * @throws {HearsayError} with code `already_started` the second time: one member has one memory.
   */
  discovery(...sources: readonly Discovery[]): Discovery;
}

/**
 * Reads a file of recent peers and of this member's id, and locks it for this process by `<file>.lock`. A file that
 * cannot be used causes no exception: see {@linkcode Memory.problem}. Needs the permissions to read and to write the
 * folder of the file, and never asks for them. Deno only.
 *
 * The file is replaced as a whole, for its owner alone: if other peers are active than before, and after each eighth of
 * `maxAge`, or each day if that is sooner. The file has no secret, but a process that can write it can choose addresses
 * that this member dials.
 *
 * @example
 * ```ts
 * import { remember } from "@hearsay/gossip/memory";
 *
 * const file = `${await Deno.makeTempDir()}/peers.json`;
 * await using memory = await remember(file, { cluster: "orders", maxPeers: 16 });
 * console.assert(memory.problem === undefined && memory.peers.length === 0);
 * ```
 *
 * @throws {ConfigurationError} naming every fault in the options.
 */
export async function remember(file: string, options: MemoryOptions): Promise<Memory> {
  assertNone([...TEXT("file", file), ...OPTIONS("options", options)]);
  assertDeno("remember", "give `seeds`, and an `id` of your own");
  const { cluster, maxPeers = 64, maxAge = 604_800_000, writeInterval = 5_000, runtime = realRuntime } =
    options;
  const recollection = new Recollection(file, { cluster, maxPeers, maxAge, writeInterval, runtime });
  const problem = await recollection.load();
  const id = recollection.id ??= newId(runtime);
  const { peers, dialing } = recollection;
  return {
    id,
    peers,
    problem,
    discovery(...sources) {
      assertNone(sources.flatMap((source, at) => OPEN(`sources[${at}]`, source)));
      recollection.start();
      const all = anyOf(dialing, ...sources);
      return {
        openMembership: true,
        run: async (context, running) => {
          await Promise.all([recollection.follow(context, running), all.run(context, running)]);
        },
      };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(recollection.close()),
  };
}
