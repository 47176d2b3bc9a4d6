/**
 * Combines several sources of members.
 *
 * @module
 */

import type { ClusterTopology, Discovery, DiscoveryContext, Member } from "../contracts/cluster.ts";
import { ConflatingQueue } from "../common/conflating_queue.ts";
import { assertNone, listOf } from "../options/rules.ts";
import { DISCOVERY } from "../contracts/discovery_rule.ts";
import { MemberList, topologyOf } from "./member_list.ts";

/**
 * A discovery whose members are the union of several sources. A source that fails does not affect the others. If two
 * records have the same id, the record of the earlier source counts. If a source learns of members through handshakes
 * (`seeds`, `dns`, `kubernetes`), any member that completes a handshake belongs to the cluster. The other sources need
 * not list it.
 *
 * @example
 * ```ts
 * import { anyOf, dns, seeds } from "@hearsay/gossip";
 *
 * const discovery = anyOf(dns("orders.internal", { port: 7001 }), seeds(["ws://10.0.0.5:7001"]));
 * console.assert(discovery.openMembership);
 * ```
 *
 * @throws {ConfigurationError} without a source, or if an argument is not a source.
 */
export function anyOf(...sources: readonly Discovery[]): Discovery {
  const allowed = "at least one source of members";
  assertNone(
    sources.length === 0
      ? [{ field: "anyOf", problem: "must have a source", given: "nothing", allowed }]
      : listOf(DISCOVERY, allowed)("anyOf", sources),
  );
  const known = sources.flatMap(({ members = [] }) => members);
  return {
    openMembership: sources.some(({ openMembership }) => openMembership),
    ...(known.length > 0 && { members: distinct(known) }),
    run: (context, { signal }) => new Union(sources, { context, signal }).run(),
  };
}

class Union {
  readonly #sources: readonly Discovery[];
  readonly #context: DiscoveryContext;
  readonly #signal: AbortSignal;
  /** The last topology of each source. */
  readonly #topologies: (ClusterTopology | undefined)[];
  /** A copy of the handshakes for each source. */
  readonly #metPeers: readonly ConflatingQueue<Member>[];
  readonly #list: MemberList;

  constructor(
    sources: readonly Discovery[],
    { context, signal }: { readonly context: DiscoveryContext; readonly signal: AbortSignal },
  ) {
    this.#sources = sources;
    this.#context = context;
    this.#list = new MemberList(context);
    this.#signal = signal;
    this.#topologies = sources.map(({ members }) => members && topologyOf(members));
    this.#metPeers = sources.map(() => new ConflatingQueue<Member>({ keyOf: ({ id }) => id, signal }));
  }

  async run(): Promise<void> {
    const running = this.#sources.map((source, at) => this.#runOne(source, at));
    await Promise.all([...running, this.#shareMetPeers()]);
  }

  async #runOne(source: Discovery, at: number): Promise<void> {
    try {
      await source.run(this.#contextOf(at), { signal: this.#signal });
    } catch (error) {
      if (this.#signal.aborted) return;
      const { eventStream } = this.#context;
      const source = `anyOf source ${at + 1}, not retried`;
      eventStream.publish({ type: "DiscoveryFailed", source, error, isFinal: true });
    }
  }

  async #shareMetPeers(): Promise<void> {
    for await (const member of this.#context.metPeers) {
      // The other sources never read their streams, so each stream would grow with every member that ever shook hands.
      for (const [at, stream] of this.#metPeers.entries()) {
        if (this.#sources[at]!.openMembership) stream.push(member);
      }
    }
  }

  /** A context for one source. Its topologies go into the union, and it receives every handshake. */
  #contextOf(at: number): DiscoveryContext {
    const context = this.#context;
    return {
      self: context.self,
      cluster: context.cluster,
      runtime: context.runtime,
      eventStream: {
        publish: (event) => {
          if (event.type === "ClusterTopology") this.#take(at, event);
          else context.eventStream.publish(event);
        },
        subscribe: (types, options) => context.eventStream.subscribe(types, options),
      },
      activeIds: () => context.activeIds(),
      addressOf: (member) => context.addressOf(member),
      handshake: (address, options) => context.handshake(address, options),
      metPeers: this.#metPeers[at]!.readable,
      watch: (key) => context.watch(key),
      retryDelay: (failures) => context.retryDelay(failures),
      reportSeeds: (read) => context.reportSeeds(read),
      blockedProbeInterval: context.blockedProbeInterval,
    };
  }

  #take(at: number, topology: ClusterTopology): void {
    this.#topologies[at] = topology;
    const known = this.#topologies.filter((each) => each !== undefined);
    const members = distinct(known.flatMap(({ members }) => members));
    this.#list.publishOnly(members, new Set(known.flatMap(({ blocked }) => blocked)));
  }
}

/** Keeps the first of several records with the same id. */
function distinct(members: readonly Member[]): Member[] {
  return [...new Map(members.toReversed().map((member) => [member.id, member])).values()].reverse();
}
