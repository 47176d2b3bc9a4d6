/**
 * A cluster of real gossipers on an in-memory network and a clock that moves only when a test says so.
 *
 * @module
 */

import { fixedMembers } from "../../discovery/fixed.ts";
import type { Cluster, Member } from "../../gossiper/cluster.ts";
import type { PartialConfig } from "../../gossiper/configuration.ts";
import type { FlushResult } from "../../gossiper/departure.ts";
import { type EventOf, EventStream, type EventType, type HearsayEvent } from "../../gossiper/event_stream.ts";
import { Gossiper } from "../../gossiper/gossiper.ts";
import {
  memoryAddress,
  MemoryNetwork,
  type MemoryTransport,
  type SentMessage,
} from "../../transport/memory.ts";
import { type Machine, VirtualRuntime } from "../virtual_runtime.ts";

/** How one member of a test is made. */
export interface TestMemberOptions {
  /** Settings that differ from the defaults. */
  readonly config?: PartialConfig;
  readonly actorStatistics?: () => Readonly<Record<string, number>>;
  /** Stands in for parts of the cluster that the gossiper is given. */
  readonly cluster?: Partial<Cluster>;
  /** The largest message that its transport sends or takes, in bytes; 1 MiB by default. */
  readonly transportBytes?: number;
}

/** How a {@linkcode TestCluster} is made. */
export interface TestClusterOptions extends TestMemberOptions {
  /** Whether all ids are one another's members from the start; else topologies are published by hand. */
  readonly fixed?: boolean;
  readonly seed?: number;
}

/** A message that was sent, and when, in virtual milliseconds from the start. */
export interface TimedMessage extends SentMessage {
  readonly atMs: number;
  readonly type: string;
}

/** The members of one test, all on one time. To be disposed of, which stops whoever still runs. */
export class TestCluster implements AsyncDisposable {
  readonly runtime: VirtualRuntime;
  readonly network: MemoryNetwork;
  /** Every message that was sent by anybody, in order. */
  readonly sent: TimedMessage[] = [];
  readonly #options: TestClusterOptions;
  readonly #ids: readonly string[];
  readonly #members = new Map<string, TestMember>();

  /** Makes a cluster in which these ids may take part; nobody does yet. */
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

  /** A cluster whose members have all been started, at one moment, in the order of their ids. */
  static async started(ids: readonly string[], options: TestClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(ids, options);
    for (const id of ids) cluster.make(id);
    for (const id of ids) await cluster.of(id).gossiper.start();
    return cluster;
  }

  /** Makes a member that is not started; one of the same id that is over gives up its place. */
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

  /** The member made last under that id. */
  of(id: string): TestMember {
    const member = this.#members.get(id);
    if (!member) throw new Error(`No member ${id} was made.`);
    return member;
  }

  /** The messages of a type that were sent from one member to others, or to one of them. */
  sentBy(from: string, type: string, options: { readonly to?: string } = {}): TimedMessage[] {
    const { to } = options;
    return this.sent.filter((sent) =>
      sent.type === type && sent.from === memoryAddress(from, 1) &&
      (to === undefined || sent.to === memoryAddress(to, 1))
    );
  }

  /** The messages by which a member gossips in its rounds: a heartbeat stands for an exchange of nothing (R2.1). */
  gossipedBy(from: string, options: { readonly to?: string } = {}): TimedMessage[] {
    const messages = [...this.sentBy(from, "gossip", options), ...this.sentBy(from, "heartbeat", options)];
    return messages.sort((one, other) => one.atMs - other.atMs);
  }

  /** Every member that was made, in the order of making. */
  get members(): readonly TestMember[] {
    return [...this.#members.values()];
  }

  /** Tells some of the members, by default all, who belongs to the cluster. */
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

  /** Lets so many milliseconds pass. */
  advance(byMs: number): Promise<void> {
    return this.runtime.advance(byMs);
  }

  /** Lets time pass until the condition holds; resolves with how long that took, and rejects after 60 s. */
  runUntil(condition: () => boolean, { withinMs = 60_000 } = {}): Promise<number> {
    return this.runtime.runUntil(condition, { withinMs });
  }

  /** Lets time pass until the promise is settled; its outcome. */
  async finish<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = () => void (isSettled = true);
    promise.then(settle, settle);
    await this.runUntil(() => isSettled);
    return await promise;
  }

  /** Stops a member in good order. */
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

  /** Whether every member is known to hold all that each of these holds. */
  isConfirmed(ids: readonly string[] = this.#ids): boolean {
    return ids.every((id) => this.of(id).gossiper.phase === "confirmed");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.finish(Promise.all(this.members.map((member) => member.dispose())));
    await this.finish(this.network[Symbol.asyncDispose]());
  }
}

/** One member: its gossiper, what that is given, and every event that it told. */
export class TestMember {
  readonly id: string;
  readonly record: Member;
  readonly runtime: Machine;
  readonly transport: MemoryTransport;
  readonly stream = new EventStream({ capacity: 1_000_000 });
  readonly gossiper: Gossiper;
  /** Every event that the gossiper, or the test, published, in order. */
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
  told<T extends EventType>(type: T): EventOf<T>[] {
    return this.events.filter((event): event is EventOf<T> => event.type === type);
  }

  /** What this member holds under a key, by member id, in the order of the ids. */
  values(key: string): Record<string, unknown> {
    const values = [...this.gossiper.getState(key)].map(([id, { value }]) => [id, value] as const);
    return Object.fromEntries(values.sort(([one], [other]) => one < other ? -1 : 1));
  }

  /** The value of one key of one member as this one holds it. */
  value(id: string, key: string): unknown {
    return this.gossiper.getState(key).get(id)?.value;
  }

  /** Who is blocked here, with the reason. */
  get blocked(): Record<string, string> {
    return Object.fromEntries(this.gossiper.blockedMembers.map(({ id, reason }) => [id, reason]));
  }

  /** Ends all that this member is made of. */
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

/** Where a member of that id is. */
export function recordOf(id: string): Member {
  return { id, host: id, port: 1, kinds: [] };
}
