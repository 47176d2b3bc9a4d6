/**
 * A model of a protoactor-go member's gossip, with its faults. It counts a delta as received when it is made. It merges
 * the higher number of each key and forgets nothing. It never unblocks. It answers every request without state, and
 * counts the state for the peer named in the request as sent.
 * @module
 */

import { HEARTBEAT_KEY, TYPE } from "../../../engine/types.ts";
import {
  type Any,
  GOSSIP_REQUEST,
  GOSSIP_RESPONSE,
  type GossipState,
  type Int64,
  type KeyEntry,
  REMOTE_MESSAGE,
} from "../../../protoactor/transport/definitions.ts";
import {
  connectRequestBytes,
  type Letter,
  letterBytes,
  readLetters,
  readRemoteMessage,
} from "../../../protoactor/transport/letters.ts";
import type { Call } from "../../../protoactor/transport/call.ts";
import { anyOf } from "../../../protoactor/transport/values.ts";
import type { VirtualRuntime } from "../../../testing/virtual_runtime.ts";
import type { CallNetwork } from "./call_network.ts";

const INTERVAL_MS = 300;
const FAN_OUT = 3;
const MAX_SEND = 50;

/** Another member, as listed by the cluster provider. */
export interface Listed {
  readonly id: string;
  readonly address: string;
}

/** The entry of a key. */
interface Held {
  readonly number: bigint;
  readonly value: Any | undefined;
  readonly atMs: number;
}

/** A model of a protoactor-go member. */
export class ModelGoMember {
  readonly id: string;
  readonly address: string;
  /** Entries by member id and key. */
  readonly state = new Map<string, Map<string, Held>>();
  readonly blocked = new Set<string>();
  readonly #runtime: VirtualRuntime;
  readonly #network: CallNetwork;
  readonly #expirationMs: number;
  readonly #sentUpTo = new Map<string, bigint>();
  readonly #streams = new Map<string, Promise<WritableStreamDefaultWriter<Uint8Array>>>();
  #others: readonly Listed[] = [];
  #numbers = 0n;
  #isAlive = true;

  constructor(
    id: string,
    options: {
      readonly address: string;
      readonly runtime: VirtualRuntime;
      readonly network: CallNetwork;
      readonly heartbeatExpiration: number;
    },
  ) {
    this.id = id;
    this.address = options.address;
    this.#runtime = options.runtime;
    this.#network = options.network;
    this.#expirationMs = options.heartbeatExpiration;
  }

  /** Listens, and starts to gossip within one interval. */
  async start(): Promise<void> {
    const onCall = (call: Call) => void this.#serve(call).catch(() => {});
    await this.#network.of(this.address).listen({ hostname: "", port: 0, maxBytes: 0, onCall });
    this.#runtime.setTimer(this.#runtime.random() * INTERVAL_MS, () => this.#round());
  }

  /** Ends as by SIGKILL. */
  kill(): void {
    this.#isAlive = false;
    this.#network.unplug(this.address);
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Replaces the list of members. */
  list(members: readonly Listed[]): void {
    this.#others = members.filter(({ id }) => id !== this.id && !this.blocked.has(id));
    this.set("topology", { typeUrl: `type.googleapis.com/${TYPE.topology}`, value: new Uint8Array() });
  }

  /** Sets a key of this member. */
  set(key: string, value: Any): void {
    this.#merge(this.id, key, { number: ++this.#numbers, value, atMs: this.#runtime.monotonicMs() });
  }

  /** The entry of a member's key. */
  held(id: string, key: string): Held | undefined {
    return this.state.get(id)?.get(key);
  }

  #round(): void {
    if (!this.#isAlive) return;
    this.#block();
    const beat = anyOf({ key: HEARTBEAT_KEY, number: 1, type: TYPE.heartbeat, value: {}, json: "{}" });
    this.set("heartbeat", beat);
    const shuffled = this.#others.map((other) => [this.#runtime.random(), other] as const).sort(([a], [b]) =>
      a - b
    );
    for (const [, other] of shuffled.slice(0, FAN_OUT)) this.#gossipTo(other);
    this.#runtime.setTimer(INTERVAL_MS, () => this.#round());
  }

  #block(): void {
    for (const [id, keys] of this.state) {
      if (id === this.id) continue;
      const beat = keys.get("heartbeat");
      const isSilent = beat && this.#runtime.monotonicMs() - beat.atMs > this.#expirationMs;
      if (isSilent || keys.has("left")) this.blocked.add(id);
    }
    this.#others = this.#others.filter(({ id }) => !this.blocked.has(id));
  }

  #gossipTo({ id, address }: Listed): void {
    this.#send({
      target: { address, id: "gossip" },
      sender: { address: this.address, id: `future$${this.#numbers}` },
      type: "cluster.GossipRequest",
      body: GOSSIP_REQUEST.encode({ memberId: id, state: this.#deltaFor(id) }),
    });
  }

  #deltaFor(target: string): GossipState {
    const others = [...this.state.keys()].filter((id) => id !== this.id).slice(0, MAX_SEND);
    const members = [this.id, ...others].flatMap((id) => {
      const mark = `${target}.${id}`;
      const sentUpTo = this.#sentUpTo.get(mark) ?? 0n;
      const newEntries = [...this.state.get(id) ?? []].filter(([, { number }]) => number > sentUpTo);
      if (newEntries.length === 0) return [];
      this.#sentUpTo.set(
        mark,
        newEntries.reduce((most, [, { number }]) => number > most ? number : most, sentUpTo),
      );
      return [{ key: id, value: { values: newEntries.map(entryOf) } }];
    });
    return { members };
  }

  async #serve(call: Call): Promise<void> {
    const reader = call.readable.getReader();
    const writer = call.writable.getWriter();
    for (let next = await reader.read(); !next.done && this.#isAlive; next = await reader.read()) {
      const { connectRequest, messageBatch } = readRemoteMessage(next.value);
      if (connectRequest) {
        const blocked = this.blocked.has(connectRequest.serverConnection!.systemId);
        await writer.write(REMOTE_MESSAGE.encode({ connectResponse: { memberId: this.id, blocked } }));
      }
      for (const letter of messageBatch ? readLetters(messageBatch) : []) this.#receive(letter);
    }
  }

  #receive({ target, sender, type, body }: Letter): void {
    if (target.id !== "gossip" || type !== "cluster.GossipRequest") return;
    const { memberId, state } = GOSSIP_REQUEST.decode(body);
    if (!state) throw new Error(`${this.id} would crash: the request has no state.`);
    for (const { key: id, value } of state.members) {
      if (!value?.values?.length) throw new Error(`${this.id} would crash: member ${id} has no values.`);
      for (const { key, value: entry } of value.values) {
        const number = bigOf(entry!.sequenceNumber);
        this.#merge(id, key, { number, value: entry!.value ?? undefined, atMs: this.#runtime.monotonicMs() });
      }
    }
    // protoactor-go counts this delta as sent although its response carries no state.
    this.#deltaFor(memberId);
    if (sender) {
      this.#send({ target: sender, type: "cluster.GossipResponse", body: GOSSIP_RESPONSE.encode({}) });
    }
  }

  #merge(id: string, key: string, held: Held): void {
    const keys = this.state.get(id) ?? new Map<string, Held>();
    this.state.set(id, keys);
    if (held.number > (keys.get(key)?.number ?? 0n)) keys.set(key, held);
  }

  #send(letter: Letter): void {
    const { address } = letter.target;
    const stream = this.#streams.get(address) ?? this.#connect(address);
    this.#streams.set(address, stream);
    const forget = () => {
      if (this.#streams.get(address) === stream) this.#streams.delete(address);
    };
    stream.then((writer) => writer.write(letterBytes(letter))).catch(forget);
  }

  async #connect(address: string): Promise<WritableStreamDefaultWriter<Uint8Array>> {
    const call = this.#network.of(this.address).open(address, { maxBytes: 0 });
    const writer = call.writable.getWriter();
    await writer.write(connectRequestBytes(this));
    await call.readable.getReader().read();
    return writer;
  }
}

function entryOf([key, { number, value }]: [string, Held]): KeyEntry {
  return { key, value: { sequenceNumber: int64Of(number), ...(value && { value }) } };
}

/** A 64-bit integer as a bigint. */
export function bigOf(number: Int64 | number): bigint {
  return typeof number === "number"
    ? BigInt(number)
    : (BigInt(number.high) << 32n) | BigInt(number.low >>> 0);
}

function int64Of(number: bigint): Int64 {
  return { low: Number(BigInt.asIntN(32, number)), high: Number(number >> 32n), unsigned: false };
}
