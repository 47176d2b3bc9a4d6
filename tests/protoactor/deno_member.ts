/**
 * A program with a Hearsay member in a cluster of protoactor-go. It runs commands from its standard input and prints
 * the answers, both as lines of JSON in the format of `member/main.go`. It ends with its standard input.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";
import { autoManaged, protoactorEtcd } from "../../protoactor/discovery.ts";
import { getMapKeys, getMapState, mapOf, removeMapState, setMapState } from "../../maps/mod.ts";
import { getActorCount } from "../../members/mod.ts";
import type { DiscoveryContext } from "../../contracts/cluster.ts";
import {
  broadcastEvent,
  type Discovery,
  joinProtoactor,
  type Member,
  onBroadcastEvent,
  type PartialConfig,
} from "../../protoactor/join.ts";

/** Options of the member, as JSON in the first argument. */
export interface DenoMemberOptions {
  readonly cluster: string;
  readonly managePort: number;
  readonly hosts: readonly string[];
  /** The endpoint of an etcd for discovery. */
  readonly etcd?: string;
  /** True: there is no discovery, and the command `list` sets the members. */
  readonly manual?: boolean;
  readonly config: PartialConfig;
}

interface Command {
  readonly op: string;
  readonly key: string;
  /** The key within a map. */
  readonly mapKey: string;
  /** A kind of actors. */
  readonly kind: string;
  readonly value: unknown;
  readonly members: readonly Member[];
}

/** A discovery that finds no members; the command `list` sets them. */
class ManualDiscovery implements Discovery {
  readonly openMembership = false;
  #context: DiscoveryContext | undefined;

  run(context: DiscoveryContext): Promise<void> {
    this.#context = context;
    return Promise.resolve();
  }

  list(members: readonly Member[]): void {
    this.#context!.eventStream.publish({ type: "ClusterTopology", members, blocked: [] });
  }
}

const options: DenoMemberOptions = JSON.parse(Deno.args[0]!);
const { cluster, managePort, hosts, etcd, config } = options;
const manual = new ManualDiscovery();
const discovery = options.manual ? manual : etcd
  ? protoactorEtcd({ endpoints: [etcd] })
  // A crashed member stays in the list, so that gossip blocks it, at whatever time that is. The refresh is much shorter
  // than heartbeatExpiration.
  : autoManaged({ hosts, port: managePort, refreshInterval: 1_000, toleratedMisses: Infinity });
/** The actor counts that this member reports. */
let counts: Readonly<Record<string, number>> = {};
const node = await joinProtoactor({
  cluster,
  discovery,
  config,
  actorStatistics: () => counts,
  decoders: { "google.protobuf.StringValue": (bytes) => new TextDecoder().decode(bytes.subarray(2)) },
});
const print = (line: object) => console.log(JSON.stringify(line));
/** All blocks and their ends so far. */
const blocks: object[] = [];
void (async () => {
  for await (const event of node.events.subscribe()) {
    if (event.type === "MemberBlocked" || event.type === "MemberUnblocked" || event.type === "SelfBlocked") {
      blocks.push(event);
    }
  }
})();
/** The events of broadcasts so far, without those of protoactor-go itself. */
const heard: unknown[] = [];
onBroadcastEvent(node, ({ memberId, type, value }) => {
  if (type.startsWith("google.protobuf.")) heard.push({ memberId, type, value });
});
print({ event: "started", id: node.id, address: `${node.member.host}:${node.member.port}` });

const COMMANDS: Readonly<Record<string, (command: Command) => object | Promise<object>>> = {
  set: async ({ key, value }) => {
    await node.setStateRequest(key, value);
    return { ok: true };
  },
  /** Resolves when all active members have acknowledged the value. */
  setEverywhere: async ({ key, value }) => {
    await node.setStateRequest(key, value, {
      acknowledgedBy: "all",
      signal: AbortSignal.timeout(10_000),
    });
    return { ok: true };
  },
  broadcast: ({ value }) => ({ ok: true, ...broadcastEvent(node, value) }),
  heard: () => ({ heard }),
  list: ({ members }) => {
    manual.list(members);
    return { ok: true };
  },
  setMap: ({ key, mapKey, value }) => {
    setMapState(node, key, mapKey, value);
    return { ok: true };
  },
  /** Sets so many entries of a map. */
  fillMap: ({ key, value }) => {
    for (let at = 0; at < (value as number); at++) setMapState(node, key, `client ${at}`, at);
    return { ok: true };
  },
  removeMap: ({ key, mapKey }) => ({ ok: removeMapState(node, key, mapKey) }),
  ownMap: ({ key }) => {
    const items = getMapKeys(node, key).map((mapKey) => [mapKey, getMapState(node, key, mapKey)]);
    return { items: Object.fromEntries(items) };
  },
  /** The maps of all members. */
  maps: ({ key }) => {
    const map = mapOf(node, key);
    const maps = node.members.map(({ id }) => {
      const items = [...map.entries(id)].map(([mapKey, { value }]) => [mapKey, value]);
      return [id, { value: Object.fromEntries(items) }];
    });
    return { state: Object.fromEntries(maps) };
  },
  setCounts: ({ value }) => {
    counts = value as Readonly<Record<string, number>>;
    return { ok: true };
  },
  /** The actor counts of all members, by member id and kind. */
  counts: ({ kind }) => {
    const known = Array.from(getActorCount(node, kind), ([id, count]) => [id, { [kind]: count }]);
    return { counts: Object.fromEntries(known) };
  },
  delete: ({ key }) => ({ ok: node.deleteState(key) }),
  get: ({ key }) => {
    const held = [...node.getState(key)].map(([id, entry]) => {
      const { value, sequenceNumber: number, localTimestampUnixMilliseconds: stamp } = entry;
      return [id, { number, value, stamp }] as const;
    });
    return { state: Object.fromEntries(held) };
  },
  members: () => ({
    members: node.members.filter(({ status }) => status === "alive").map(({ id }) => id).sort(),
    blocked: node.blockedMembers,
    blocks,
    phase: node.phase,
    digest: node.snapshot().digest,
  }),
  leave: async () => {
    const flush = await node.stop();
    return { ok: true, flush };
  },
};

const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
for await (const line of lines) {
  const command: Command = JSON.parse(line);
  try {
    print(await COMMANDS[command.op]!(command));
  } catch (error) {
    print({ error: String(error) });
  }
  if (command.op === "leave") break;
}
Deno.exit(0);
