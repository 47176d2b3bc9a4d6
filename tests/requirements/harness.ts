/**
 * A cluster of real gossipers on an in-memory network and a virtual clock.
 *
 * @module
 */

import { fixedMembers } from "../../discovery/fixed.ts";
import type { Cluster, Member } from "../../contracts/cluster.ts";
import type { PartialConfig } from "../../options/configuration.ts";
import type { FlushResult } from "../../gossiper/departure.ts";
import {
  type EventOf,
  EventStream,
  type EventType,
  type HearsayEvent,
} from "../../contracts/event_stream.ts";
import { Gossiper } from "../../gossiper/gossiper.ts";
import {
  memoryAddress,
  MemoryNetwork,
  type MemoryTransport,
  type SentMessage,
} from "../../testing/memory.ts";
import { type Machine, VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { HEARTBEAT_KEY, type Incarnation } from "../../engine/types.ts";

/** Options of one member. */
export interface TestMemberOptions {
  /** Settings other than the defaults. */
  readonly config?: PartialConfig;
  readonly actorStatistics?: () => Readonly<Record<string, number>>;
  /** Replaces parts of the cluster reference. */
  readonly cluster?: Partial<Cluster>;
  /** The largest message of its transport, in bytes; 1 MiB by default. */
  readonly transportBytes?: number;
}

/** Options of a {@linkcode TestCluster}. */
export interface TestClusterOptions extends TestMemberOptions {
  /** True (default): all ids are members from the start. False: the test publishes topologies. */
  readonly fixed?: boolean;
  readonly seed?: number;
}

/** A sent message and its time, in virtual milliseconds from the start. */
export interface TimedMessage extends SentMessage {
  readonly atMs: number;
  readonly type: string;
}

/** The members of one test, all on one clock. Dispose it to stop the running ones. */
export class TestCluster implements AsyncDisposable {
  readonly runtime: VirtualRuntime;
  readonly network: MemoryNetwork;
  /** Every message of every member, in order of sending. */
  readonly sent: TimedMessage[] = [];
  readonly #options: TestClusterOptions;
  readonly #ids: readonly string[];
  readonly #members = new Map<string, TestMember>();

  /** Makes a cluster for these ids, still without members. */
  constructor(ids: readonly string[], options: TestClusterOptions = {}) {
    this.#ids = ids;
    this.#options = options;
    this.runtime = new VirtualRuntime({ seed: options.seed ?? 1 });
    this.network = new MemoryNetwork({
      runtime: this.runtime,
      seed: options.seed ?? 1,
      tap: (sent) => {
        const type = /^\{"type":"(\w+)"/.exec(sent.text)![1]!;
        this.sent.push({ ...sent, atMs: this.runtime.monotonicMs(), type });
      },
    });
  }

  /** A cluster whose members all started at one time, in the order of their ids. */
  static async started(ids: readonly string[], options: TestClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(ids, options);
    for (const id of ids) cluster.make(id);
    for (const id of ids) await cluster.of(id).gossiper.start();
    return cluster;
  }

  /** Makes a member without starting it; it replaces an ended one with the same id. */
  make(id: string, options: TestMemberOptions = {}): TestMember {
    const { fixed = true } = this.#options;
    const made = new TestMember(recordOf(id), {
      runtime: this.runtime.machine(),
      transport: this.network.transport(
        id,
        1,
        options.transportBytes === undefined ? {} : { maxMessageBytes: options.transportBytes },
      ),
      config: { ...this.#options.config, ...options.config },
      cluster: {
        ...(fixed && { discovery: fixedMembers(this.#ids.map(recordOf)) }),
        ...(this.#options.actorStatistics && { actorStatistics: this.#options.actorStatistics }),
        ...this.#options.cluster,
        ...(options.actorStatistics && { actorStatistics: options.actorStatistics }),
        ...options.cluster,
      },
    });
    this.#members.set(id, made);
    return made;
  }

  /** The newest member with this id. */
  of(id: string): TestMember {
    const member = this.#members.get(id);
    if (!member) throw new Error(`No member ${id} was made.`);
    return member;
  }

  /** The messages of a type from one member to all others, or to one of them. */
  sentBy(from: string, type: string, options: { readonly to?: string } = {}): TimedMessage[] {
    const { to } = options;
    return this.sent.filter((sent) =>
      sent.type === type && sent.from === memoryAddress(from, 1) &&
      (to === undefined || sent.to === memoryAddress(to, 1))
    );
  }

  /** The messages of a member's rounds: a heartbeat replaces an exchange without state (R2.1). */
  gossipedBy(from: string, options: { readonly to?: string } = {}): TimedMessage[] {
    const messages = [...this.sentBy(from, "gossip", options), ...this.sentBy(from, "heartbeat", options)];
    return messages.sort((one, other) => one.atMs - other.atMs);
  }

  /** Every member ever made, in order. */
  get members(): readonly TestMember[] {
    return [...this.#members.values()];
  }

  /** Publishes a topology at some members, by default at all. */
  async publish(
    ids: readonly string[],
    options: { readonly blocked?: readonly string[]; readonly to?: readonly string[] } = {},
  ): Promise<void> {
    const { blocked = [], to = [...this.#members.keys()] } = options;
    for (const id of to) {
      this.of(id).stream.publish({ type: "ClusterTopology", members: ids.map(recordOf), blocked });
    }
    await this.runtime.settle();
  }

  /** Advances time by this many milliseconds. */
  advance(byMs: number): Promise<void> {
    return this.runtime.advance(byMs);
  }

  /** Advances time until the condition holds; resolves with the elapsed time, and rejects after 60 s. */
  runUntil(condition: () => boolean, { withinMs = 60_000 } = {}): Promise<number> {
    return this.runtime.runUntil(condition, { withinMs });
  }

  /** Advances time until the promise settles; returns its outcome. */
  async finish<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = () => void (isSettled = true);
    promise.then(settle, settle);
    await this.runUntil(() => isSettled);
    return await promise;
  }

  /** Stops a member in order. */
  stop(id: string): Promise<FlushResult> {
    return this.finish(this.of(id).gossiper.stop());
  }

  /** Ends a member as SIGKILL ends a process: its connections break without a close code, and its address refuses. */
  crash(id: string): void {
    const { runtime, transport } = this.of(id);
    this.#members.delete(id);
    runtime.kill();
    this.breakConnections(id);
    void transport.close();
  }

  /** Breaks every connection of a member without a close code; new ones are possible at once. */
  breakConnections(id: string): void {
    const from = memoryAddress(id, 1);
    this.network.setFaults({ cut: true }, { from });
    this.network.setFaults({}, { from });
  }

  /** True if these members are confirmed and have each other's whole state. */
  isConfirmed(ids: readonly string[] = this.#ids): boolean {
    return ids.every((id) => this.of(id).gossiper.phase === "confirmed");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.finish(Promise.all(this.members.map((member) => member.dispose())));
    await this.finish(this.network[Symbol.asyncDispose]());
  }
}

/** One member: its gossiper, the parts of that, and every event of it. */
export class TestMember {
  readonly id: string;
  readonly record: Member;
  readonly runtime: Machine;
  readonly transport: MemoryTransport;
  readonly stream = new EventStream({ capacity: 1_000_000 });
  readonly gossiper: Gossiper;
  /** Every event of the gossiper or the test, in order. */
  readonly events: HearsayEvent[] = [];
  readonly #collecting: Promise<void>;

  constructor(record: Member, options: {
    readonly runtime: Machine;
    readonly transport: MemoryTransport;
    readonly config: PartialConfig;
    readonly cluster: Partial<Cluster>;
  }) {
    const { runtime, transport, config, cluster } = options;
    this.id = record.id;
    this.record = record;
    this.runtime = runtime;
    this.transport = transport;
    this.#collecting = this.#collect();
    this.gossiper = new Gossiper(config, {
      self: record,
      name: "test",
      eventStream: this.stream,
      transport,
      runtime,
      ...cluster,
    });
  }

  /** The events of one type, in order. */
  emitted<T extends EventType>(type: T): EventOf<T>[] {
    return this.events.filter((event): event is EventOf<T> => event.type === type);
  }

  /** The values of a key at this member by member id, in the order of the ids. */
  values(key: string): Record<string, unknown> {
    const values = [...this.gossiper.getState(key)].map(([id, { value }]) => [id, value] as const);
    return Object.fromEntries(values.sort(([one], [other]) => one < other ? -1 : 1));
  }

  /** The value of one key of one member at this one. */
  value(id: string, key: string): unknown {
    return this.gossiper.getState(key).get(id)?.value;
  }

  /** The blocked members, with the reason. */
  get blocked(): Record<string, string> {
    return Object.fromEntries(this.gossiper.blockedMembers.map(({ id, reason }) => [id, reason]));
  }

  /** Ends this member and all its parts. */
  async dispose(): Promise<void> {
    await this.gossiper[Symbol.asyncDispose]();
    await this.transport.close();
    this.stream.close();
    await this.#collecting;
  }

  async #collect(): Promise<void> {
    for await (const event of this.stream.subscribe()) this.events.push(event);
  }
}

/** The record of the member with this id. */
export function recordOf(id: string): Member {
  return { id, host: id, port: 1, kinds: [] };
}

/** The present incarnation of a member, as it reports it. */
export function incarnationOf({ gossiper }: TestMember): Incarnation {
  return gossiper.members.find(({ isSelf }) => isSelf)!.incarnation!;
}

/** All visible state and events of a member, heartbeats included. */
export function everythingOf({ gossiper, events }: TestMember): string {
  return JSON.stringify([gossiper.snapshot(), events.length]);
}

/** The numbers of a member's own entries; the heartbeat has its count instead of one. */
export function ownNumbers({ id, gossiper }: TestMember): number[] {
  const own = gossiper.snapshot().members.find((member) => member.id === id)!;
  return own.entries.filter(({ key }) => key !== HEARTBEAT_KEY).map(({ sequenceNumber }) => sequenceNumber);
}
