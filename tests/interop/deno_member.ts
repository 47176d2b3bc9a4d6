/**
 * A Hearsay member in a cluster of protoactor-go, as a program of its own: it says as lines of JSON what it is asked
 * for by lines of JSON, in the words of `member/main.go`. It ends when its standard input does.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";
import { autoManaged, protoactorEtcd } from "../../discovery/protoactor.ts";
import type { DiscoverySite } from "../../gossiper/cluster.ts";
import { type Discovery, joinProtoactor, type Member, type PartialConfig } from "../../protoactor.ts";

/** How it is started, as JSON in its first argument. */
export interface DenoMemberOptions {
  readonly cluster: string;
  readonly managePort: number;
  readonly hosts: readonly string[];
  /** The endpoint of an etcd: then members find each other there. */
  readonly etcd?: string;
  /** Whether the members are those of the command `list`; then it looks for none. */
  readonly manual?: boolean;
  readonly config: PartialConfig;
}

interface Command {
  readonly op: string;
  readonly key: string;
  readonly value: unknown;
  readonly members: readonly Member[];
}

/** A discovery that looks for no members: they are those of the last command `list`. */
class ManualDiscovery implements Discovery {
  readonly byGreeting = false;
  #site: DiscoverySite | undefined;

  run(site: DiscoverySite): Promise<void> {
    this.#site = site;
    return Promise.resolve();
  }

  list(members: readonly Member[]): void {
    this.#site!.eventStream.publish({ type: "ClusterTopology", members, blocked: [] });
  }
}

const options: DenoMemberOptions = JSON.parse(Deno.args[0]!);
const { cluster, managePort, hosts, etcd, config } = options;
const manual = new ManualDiscovery();
const discovery = options.manual ? manual : etcd
  ? protoactorEtcd({ endpoints: [etcd] })
  // Members find each other much sooner than heartbeats expire; and who is gone stays listed, so that it is blocked
  // however late that comes.
  : autoManaged({ hosts, port: managePort, refreshInterval: 1_000, toleratedMisses: Infinity });
const node = await joinProtoactor({
  cluster,
  discovery,
  config,
  decoders: { "google.protobuf.StringValue": (bytes) => new TextDecoder().decode(bytes.subarray(2)) },
});
const { gossiper, member } = node;
const tell = (line: object) => console.log(JSON.stringify(line));
/** Every block and its end so far, whoever caused it. */
const blocks: object[] = [];
void (async () => {
  for await (const event of gossiper.events.subscribe()) {
    if (event.type === "MemberBlocked" || event.type === "MemberUnblocked" || event.type === "SelfBlocked") {
      blocks.push(event);
    }
  }
})();
tell({ event: "started", id: member.id, address: `${member.host}:${member.port}` });

const COMMANDS: Readonly<Record<string, (command: Command) => object | Promise<object>>> = {
  set: async ({ key, value }) => {
    await gossiper.setStateRequest(key, value);
    return { ok: true };
  },
  /** Resolves when all active members are known to hold the value. */
  setEverywhere: async ({ key, value }) => {
    await gossiper.setStateRequest(key, value, {
      acknowledgedBy: "all",
      signal: AbortSignal.timeout(10_000),
    });
    return { ok: true };
  },
  list: ({ members }) => {
    manual.list(members);
    return { ok: true };
  },
  delete: ({ key }) => ({ ok: gossiper.deleteState(key) }),
  get: ({ key }) => {
    const held = [...gossiper.getState(key)].map(([id, entry]) => {
      const { value, sequenceNumber: number, localTimestampUnixMilliseconds: stamp } = entry;
      return [id, { number, value, stamp }] as const;
    });
    return { state: Object.fromEntries(held) };
  },
  members: () => ({
    members: gossiper.members.filter(({ status }) => status === "active").map(({ id }) => id).sort(),
    blocked: gossiper.blockedMembers,
    blocks,
    phase: gossiper.phase,
    digest: gossiper.snapshot().digest,
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
    tell(await COMMANDS[command.op]!(command));
  } catch (error) {
    tell({ error: String(error) });
  }
  if (command.op === "leave") break;
}
Deno.exit(0);
