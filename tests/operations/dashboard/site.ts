/**
 * Members in one process, on a network in memory and the real clock, with a dashboard of the first one.
 *
 * @module
 */

import { realRuntime, type Runtime } from "../../../common/runtime.ts";
import type { Member } from "../../../contracts/cluster.ts";
import { EventStream } from "../../../contracts/event_stream.ts";
import { fixedMembers } from "../../../discovery/fixed.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import { topologyHash } from "../../../engine/state/murmur3.ts";
import { type JsonValue, type MemberDelta, TOPOLOGY_KEY, TYPE } from "../../../engine/types.ts";
import { Gossiper } from "../../../gossiper/gossiper.ts";
import { dashboard, type DashboardOptions } from "../../../operations/dashboard/mod.ts";
import type { PartialConfig } from "../../../options/configuration.ts";
import { PROTOCOL_VERSION } from "../../../protocol/message.ts";
import { memoryAddress, MemoryNetwork, type MemoryTransport } from "../../../testing/memory.ts";

const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 200, heartbeatExpiration: 10_000 };
const CLUSTER = "test";

/** A member that can end like a killed process. */
interface TestMember {
  readonly gossiper: Gossiper;
  readonly transport: MemoryTransport;
  readonly runtime: KillableRuntime;
}

/** The real clock, until the process is killed. */
class KillableRuntime implements Runtime {
  #isKilled = false;

  monotonicMs = realRuntime.monotonicMs;
  wallMs = realRuntime.wallMs;
  random = realRuntime.random;

  kill(): void {
    this.#isKilled = true;
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    return realRuntime.setTimer(delayMs, () => {
      if (!this.#isKilled) callback();
    });
  }
}

/** Members that know each other from the start, and a server with the dashboard of the first. */
export class Site implements AsyncDisposable {
  readonly network: MemoryNetwork = new MemoryNetwork({ runtime: realRuntime });
  readonly #records: readonly Member[];
  readonly #members = new Map<string, TestMember>();
  #server: Deno.HttpServer<Deno.NetAddr> | undefined;

  /** The ids of all members, of which the first `running` run. */
  static async started(
    ids: readonly string[],
    { running = ids.length, config = {}, ...options }: DashboardOptions & {
      readonly running?: number;
      readonly config?: PartialConfig;
    } = {},
  ): Promise<Site> {
    const site = new Site(ids);
    for (const id of ids.slice(0, running)) await site.#start(id, config);
    const show = dashboard(site.of(ids[0]!), options);
    const notFound = () => new Response("Not found.\n", { status: 404 });
    site.#server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      async (request, info) => await show(request, info) ?? notFound(),
    );
    return site;
  }

  private constructor(ids: readonly string[]) {
    // Members choose their ids, but a host must be one.
    this.#records = ids.map((id, index) => ({ id, host: `host-${index}`, port: 1, kinds: [] }));
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#server!.addr.port}`;
  }

  of(id: string): Gossiper {
    return this.#members.get(id)!.gossiper;
  }

  /** Ends a member as SIGKILL ends a process: its connections break, and its address refuses. */
  crash(id: string): void {
    const { transport, runtime } = this.#members.get(id)!;
    this.#members.delete(id);
    runtime.kill();
    const from = transport.address;
    this.network.setFaults({ cut: true }, { from });
    this.network.setFaults({}, { from });
    void transport.close();
  }

  /** Sends the state of members that do not run to the first member, as one of them would relay it. */
  async sendStates(
    ids: readonly string[],
    stateOf: (id: string) => Readonly<Record<string, JsonValue>>,
  ): Promise<void> {
    const [to, sender] = [this.#records[0]!, this.#records.find(({ id }) => id === ids[0])!];
    const transport = this.network.transport(sender.host, sender.port);
    const { signal } = new AbortController();
    const connection = await transport.dial(memoryAddress(to.host, to.port), { signal });
    const writer = connection.writable.getWriter();
    const incarnation = makeIncarnation(Date.now(), 0.5);
    await writer.write({
      type: "hello",
      id: "d1",
      cluster: CLUSTER,
      member: sender,
      incarnation,
      count: 1,
      version: PROTOCOL_VERSION,
      oldestVersion: 2,
      capabilities: [],
      digest: "0".repeat(16),
      active: "0".repeat(16),
    });
    const reader = connection.readable.getReader();
    await reader.read();
    for (let from = 0; from < ids.length; from += 50) {
      const members = ids.slice(from, from + 50).map((id) =>
        deltaOf(id, { incarnation, state: stateOf(id) })
      );
      await writer.write({ type: "push", relay: false, delta: { members } });
    }
    await writer.close();
    while (!(await reader.read()).done);
    await transport.close();
  }

  /** The published view of a member: the active members, without the blocked ones. */
  viewWithout(blocked: readonly string[]): JsonValue {
    const active = this.#records.map(({ id }) => id).filter((id) => !blocked.includes(id));
    return { topologyHash: topologyHash(active), ...(blocked.length > 0 && { blocked }) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#members.values()].map(({ gossiper }) => gossiper[Symbol.asyncDispose]()));
    await this.network[Symbol.asyncDispose]();
    await this.#server?.shutdown();
  }

  async #start(id: string, config: PartialConfig): Promise<void> {
    const self = this.#records.find((record) => record.id === id)!;
    const transport = this.network.transport(self.host, self.port);
    const runtime = new KillableRuntime();
    const gossiper = new Gossiper({ ...CONFIG, ...config }, {
      self,
      name: CLUSTER,
      eventStream: new EventStream(),
      transport,
      ownsTransport: true,
      runtime,
      discovery: fixedMembers(this.#records),
    });
    this.#members.set(id, { gossiper, transport, runtime });
    await gossiper.start();
  }
}

function deltaOf(
  id: string,
  { incarnation, state }: {
    readonly incarnation: string;
    readonly state: Readonly<Record<string, JsonValue>>;
  },
): MemberDelta {
  const entries = Object.entries(state).map(([key, value], index) => ({
    key,
    number: index + 1,
    type: key === TOPOLOGY_KEY ? TYPE.topology : TYPE.value,
    value,
    json: JSON.stringify(value),
  }));
  return { id, incarnation, after: 0, reset: false, entries, count: 5 };
}
