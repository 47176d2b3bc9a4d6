/**
 * Real Hearsay members and models of protoactor-go members in one cluster, with faults that follow from a seed.
 *
 * @module
 */

import { assertEquals } from "../../../deps/std_assert.ts";
import { fixedMembers } from "../../../discovery/fixed.ts";
import { isUnversioned } from "../../../engine/incarnation.ts";
import { HEARTBEAT_KEY, type SentEntry } from "../../../engine/types.ts";
import type { Member } from "../../../contracts/cluster.ts";
import { mapKeysOf } from "../../../maps/composed_key.ts";
import { goItemsOf, type Items } from "../../../maps/go_map.ts";
import { mapOf } from "../../../maps/mod.ts";
import { configure } from "../../../options/configuration.ts";
import { EventStream } from "../../../contracts/event_stream.ts";
import { Gossiper } from "../../../gossiper/gossiper.ts";
import { numberInIncarnation } from "../../../protoactor/transport/numbers.ts";
import { HEARSAY_KIND, ProtoactorTransport } from "../../../protoactor/transport/transport.ts";
import { mapsOf } from "../../../protoactor/maps.ts";
import { anyOf, mapAnyOf, readBinaryAny, withMaps } from "../../../protoactor/transport/values.ts";
import { VirtualRuntime } from "../../../testing/virtual_runtime.ts";
import { CallNetwork } from "./call_network.ts";
import { bigOf, type Listed, ModelGoMember } from "./model_go_member.ts";

const STEP_MS = 150;
/** The last two are entries of a map. */
const KEYS = ["k0", "k1", "k2", "map␟x", "map␟y"];

/** One Hearsay member of the cluster. */
export interface HearsayMember {
  readonly gossiper: Gossiper;
  readonly transport: ProtoactorTransport;
  readonly stream: EventStream;
}

/** Options of a {@linkcode MixedCluster}. */
export interface MixedClusterOptions {
  readonly seed: number;
  readonly hearsay: number;
  readonly go: number;
  /** For both kinds of members, in milliseconds; 20,000 by default. */
  readonly heartbeatExpiration?: number;
}

/** A cluster with both kinds of members. Disposal stops all of them. */
export class MixedCluster implements AsyncDisposable {
  readonly runtime: VirtualRuntime;
  readonly network: CallNetwork;
  readonly hearsay: HearsayMember[] = [];
  readonly go: ModelGoMember[] = [];
  /** The number of `confirmed` phases checked against the state of the Go members. */
  claims = 0;
  readonly #expirationMs: number;
  #sets = 0;

  private constructor({ seed, heartbeatExpiration = 20_000 }: MixedClusterOptions) {
    this.runtime = new VirtualRuntime({ seed });
    this.network = new CallNetwork(this.runtime);
    this.#expirationMs = heartbeatExpiration;
  }

  /** Starts all members and gives each the list of all. */
  static async started(options: MixedClusterOptions): Promise<MixedCluster> {
    const cluster = new MixedCluster(options);
    const records = [
      ...Array.from({ length: options.hearsay }, (_, at) => cluster.#record(`h${at}`, [HEARSAY_KIND])),
      ...Array.from({ length: options.go }, (_, at) => cluster.#record(`g${at}`, [])),
    ];
    for (const record of records) {
      if (record.kinds.length > 0) await cluster.#startHearsay(record, records);
      else await cluster.#startGo(record);
    }
    cluster.#announceToGo(records);
    return cluster;
  }

  /** Applies faults at random: sets, lost letters, broken streams and short partitions. */
  async injectFaults(forMs: number): Promise<void> {
    this.network.loss = this.#pick([0, 0.1, 0.4]);
    this.network.delayMs = this.#pick([5, 80, 200]);
    let healAtMs = Infinity;
    for (let passed = 0; passed < forMs; passed += STEP_MS) {
      const now = this.runtime.monotonicMs();
      if (this.#chance(0.5)) this.setSomething();
      if (this.#chance(0.05)) this.network.breakSome(0.3);
      if (this.#chance(0.03) && healAtMs === Infinity) {
        this.network.partition(new Map(this.#addresses().map((each) => [each, this.#chance(0.5) ? 1 : 0])));
        healAtMs = now + 200 + this.runtime.random() * 4_000;
      }
      if (now >= healAtMs) {
        this.network.partition(new Map());
        healAtMs = Infinity;
      }
      await this.rest(STEP_MS);
    }
  }

  /** Removes all faults. */
  calm(): void {
    this.network.loss = 0;
    this.network.delayMs = 5;
    this.network.partition(new Map());
  }

  /** Lets time pass and checks every member in phase `confirmed`. */
  async rest(forMs: number): Promise<void> {
    for (let passed = 0; passed < forMs; passed += STEP_MS) {
      await this.runtime.advance(Math.min(STEP_MS, forMs - passed));
      for (const { gossiper } of this.hearsay) this.#checkClaims(gossiper);
    }
  }

  /** Sets or deletes a random key at a random member. */
  setSomething(): void {
    const key = this.#pick(KEYS);
    const value = ++this.#sets;
    const at = Math.floor(this.runtime.random() * (this.hearsay.length + this.go.length));
    const member = this.hearsay[at]?.gossiper;
    const entry = { key, number: 1, type: "google.protobuf.Value", value, json: `${value}` };
    if (!member) return this.#setAt(this.go[at - this.hearsay.length]!, entry);
    if (this.#chance(0.1)) member.deleteState(key);
    else member.setState(key, value);
  }

  /** A Go member has a map as one value. */
  #setAt(member: ModelGoMember, entry: SentEntry): void {
    const keys = mapKeysOf(entry.key);
    const value = anyOf(entry);
    if (keys) member.set(keys.key, mapAnyOf([{ key: keys.mapKey, value }]));
    else member.set(entry.key, value);
  }

  /** The map of a member at a Go member. */
  mapAt(member: ModelGoMember, id: string): Items | undefined {
    const any = member.held(id, "map")?.value;
    return any && goItemsOf(readBinaryAny(any, withMaps({})).value);
  }

  /** The map of a member at a Hearsay member, empty if it has none. */
  mapAtHearsay(gossiper: Gossiper, id: string): Items {
    const entries = mapOf(gossiper, "map").entries(id);
    return Object.fromEntries(Array.from(entries, ([mapKey, { value }]) => [mapKey, value]));
  }

  /** State of a Hearsay member without heartbeats, as text: equal texts mean equal state. */
  lasting(gossiper: Gossiper): string {
    const members = gossiper.snapshot().members.filter(({ status }) => status === "alive").map((member) => [
      member.id,
      member.incarnation,
      member.entries.filter(({ key }) => !isRestless(key)).map(({ key, value, sequenceNumber }) =>
        [key, value, sequenceNumber] as const
      ).sort(([one], [other]) => one < other ? -1 : 1),
    ]);
    return JSON.stringify(members.sort(([one], [other]) => one! < other! ? -1 : 1));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const member of this.go) member.kill();
    const ending = Promise.all(this.hearsay.map(async ({ gossiper, transport, stream }) => {
      await gossiper.stop().catch(() => {});
      stream.close();
      await transport.close();
    }));
    let isOver = false;
    void ending.then(() => isOver = true);
    await this.runtime.runUntil(() => isOver, { withinMs: 60_000 });
    await ending;
  }

  /** Fails if a Hearsay member is `confirmed` although a Go member lacks part of its state. */
  #checkClaims(gossiper: Gossiper): void {
    if (gossiper.phase !== "confirmed") return;
    this.claims++;
    const active = gossiper.snapshot().members.filter(({ status }) => status === "alive");
    for (const holder of this.go) {
      if (!holder.isAlive || !active.some(({ id }) => id === holder.id)) continue;
      for (const { id, incarnation, entries } of active) {
        if (id === holder.id) continue;
        for (const { key, sequenceNumber } of entries) {
          if (isRestless(key)) continue;
          const number = isUnversioned(incarnation!)
            ? BigInt(sequenceNumber)
            : bigOf(numberInIncarnation(incarnation!, sequenceNumber));
          const held = holder.held(id, mapKeysOf(key)?.key ?? key)?.number ?? 0n;
          assertEquals(held >= number, true, `${holder.id} lacks ${key} of ${id}: ${held} < ${number}`);
        }
      }
    }
  }

  async #startHearsay(self: Member, records: readonly Member[]): Promise<void> {
    const runtime = this.runtime.machine();
    const config = configure({ heartbeatExpiration: this.#expirationMs, blockedProbeInterval: 5_000 });
    const transport = await ProtoactorTransport.listenBy(this.network.of(`${self.host}:${self.port}`), {
      id: self.id,
      cluster: "mixed",
      port: self.port,
      maxMessageBytes: config.maxMessageBytes,
      runtime,
    });
    const stream = new EventStream({ capacity: 100 });
    const discovery = fixedMembers(records);
    const gossiper = new Gossiper(config, {
      self: transport.self,
      name: "mixed",
      eventStream: stream,
      transport,
      discovery,
      runtime,
    });
    transport.maps = mapsOf(gossiper);
    await gossiper.start();
    this.hearsay.push({ gossiper, transport, stream });
  }

  async #startGo({ id, host, port }: Member): Promise<void> {
    const { runtime, network } = this;
    const address = `${host}:${port}`;
    const member = new ModelGoMember(id, {
      address,
      runtime,
      network,
      heartbeatExpiration: this.#expirationMs,
    });
    await member.start();
    this.go.push(member);
  }

  #announceToGo(records: readonly Member[]): void {
    const listed = records.map(({ id, host, port }): Listed => ({ id, address: `${host}:${port}` }));
    for (const member of this.go) member.list(listed);
  }

  #record(id: string, kinds: readonly string[]): Member {
    const [host, port] = this.network.nextAddress().split(":") as [string, string];
    return { id, host, port: Number(port), kinds };
  }

  #addresses(): string[] {
    return [
      ...this.hearsay.map(({ transport: { self } }) => `${self.host}:${self.port}`),
      ...this.go.map(({ address }) => address),
    ];
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.runtime.random() * choices.length)]!;
  }

  #chance(chance: number): boolean {
    return this.runtime.random() < chance;
  }
}

function isRestless(key: string): boolean {
  return key === HEARTBEAT_KEY;
}
