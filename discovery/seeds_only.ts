/**
 * Keeps a member in a page from dialing any address but its seeds. The other members may be in a private network: a page
 * with TLS must not dial them, and a browser would ask its user for access to devices nearby.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import {
  type ClusterTopology,
  type Discovery,
  type DiscoveryContext,
  type Member,
  NOWHERE,
} from "../contracts/cluster.ts";
import { assertNone } from "../options/rules.ts";
import { ADDRESSES } from "./checks.ts";
import { openMembership } from "./open_membership.ts";

/**
 * A discovery that dials the seeds as they are. A member that answered at a seed has the seed's address. All other
 * members have no address, and are reached through the others.
 *
 * @throws {ConfigurationError} naming every invalid address.
 */
export function seedsOnly(addresses: readonly string[]): Discovery {
  assertNone(ADDRESSES("seeds", addresses));
  const seeds = new Set(addresses);
  const discovery = openMembership((_, { found }) => {
    found([...seeds]);
    return Promise.resolve();
  });
  return {
    openMembership: true,
    run: (context, options) => discovery.run(throughSeeds(context, seeds), options),
  };
}

function throughSeeds(context: DiscoveryContext, seeds: ReadonlySet<string>): DiscoveryContext {
  /** The last member that answered at each seed. */
  const answered = new Map<string, string>();
  const reached = ({ id, kinds, ...record }: Member): Member => {
    if (id === context.self.id) return { id, kinds, ...record };
    const seed = [...answered].find(([, there]) => there === id)?.[0];
    return seed === undefined ? { id, kinds, ...NOWHERE } : { id, kinds, ...placeOf(seed), url: seed };
  };
  return {
    ...context,
    handshake: async (address, options) => {
      if (!seeds.has(address)) {
        throw new HearsayError("connection", "A member in a page dials its seeds only; nothing was dialed.");
      }
      const member = await context.handshake(address, options);
      answered.set(address, member.id);
      return member;
    },
    eventStream: {
      subscribe: context.eventStream.subscribe.bind(context.eventStream),
      publish: (event) =>
        context.eventStream.publish(event.type === "ClusterTopology" ? mapped(event, reached) : event),
    },
  };
}

function mapped(topology: ClusterTopology, reached: (member: Member) => Member): ClusterTopology {
  const { members, joined } = topology;
  return { ...topology, members: members.map(reached), ...(joined && { joined: joined.map(reached) }) };
}

/** The host and port of a seed. */
function placeOf(seed: string): Pick<Member, "host" | "port"> {
  const { hostname, port, protocol } = new URL(seed);
  const usual = protocol === "wss:" ? 443 : 80;
  return { host: hostname, port: port === "" ? usual : Number(port) };
}
