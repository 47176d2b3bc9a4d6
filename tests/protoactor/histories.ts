/**
 * Histories of members that set keys and gossip, replayed with Hearsay's engine. The Go program in
 * `tests/protoactor/vectors` replays them with protoactor-go's gossip actors.
 *
 * @module
 */

import type { Engine, Sent } from "../../engine/engine.ts";
import { topologyHash } from "../../engine/state/murmur3.ts";
import { type JsonValue, TOPOLOGY_KEY } from "../../engine/types.ts";
import { decode, encode } from "../../protocol/codec.ts";
import { anyText, readAny } from "../../protocol/any_value.ts";
import { JsonPath } from "../../protocol/check.ts";
import { SeededRandom } from "../simulation/seeded_random.ts";
import { handshake, makeCluster, TestClock } from "../engine/harness.ts";
import { randomAny } from "./values.ts";

/** Steps of some members, which all know each other from the start. */
export interface History {
  readonly name: string;
  readonly members: readonly string[];
  readonly steps: readonly Step[];
}

/** A member sets a key, or sends its new state to all others, or one of them receives what an earlier send had. */
export type Step =
  | { readonly set: { readonly member: string; readonly key: string; readonly any: JsonValue } }
  | { readonly send: string }
  | { readonly deliver: { readonly send: number; readonly to: string } };

/** The result of a history: changes of each delivery, and the final state of every member. */
export interface Outcome {
  readonly name: string;
  readonly updates: readonly (readonly Update[])[];
  /** By the member with the state, the owner, and the key. */
  readonly states: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, Held>>>>>>;
}

/** A key that a delivery changed. */
export interface Update {
  readonly member: string;
  readonly key: string;
  readonly number: number;
}

/** An entry. */
export interface Held {
  readonly number: number;
  readonly any: JsonValue;
}

/** A history with its result in protoactor-go, as in the committed file. */
export interface Lived {
  readonly history: History;
  readonly outcome: Outcome;
}

/** The committed histories. */
export const HISTORIES_FILE = new URL("histories.json", import.meta.url);

/** Without the heartbeat: it is an entry in protoactor-go, and a count beside the state in Hearsay. */
const KEYS = ["load", "version", "note", "__proto__"];

/** True if every delivery follows its send at once and once. Only then the updates of both kinds are equal. */
export function isInOrder({ name }: History | Outcome): boolean {
  return name.startsWith("in order");
}

/** A random history from a seed. Half of them are in order; in the others deliveries are late, repeated and reordered. */
export function randomHistory(seed: number, { steps }: { readonly steps: number }): History {
  const dice = new SeededRandom(seed);
  const inOrder = dice.chance(0.5);
  const members = ["a", "b", "c", "d", "e"].slice(0, dice.whole(2, 5));
  const writer = new Writer(members, dice);
  for (let count = 0; count < steps; count++) {
    if (dice.chance(0.5)) writer.set();
    else if (inOrder || dice.chance(0.4)) writer.send();
    else writer.deliverSome();
    if (inOrder) writer.deliverAll();
  }
  writer.deliverAll();
  // The last rounds deliver everything to all members, also what was delayed before.
  for (const _ of members) {
    for (const member of members) {
      writer.send(member);
      writer.deliverAll();
    }
  }
  return { name: `${inOrder ? "in order" : "late"}, ${seed}`, members, steps: writer.steps };
}

/** Builds the steps of a history. */
class Writer {
  readonly steps: Step[] = [];
  readonly #members: readonly string[];
  readonly #dice: SeededRandom;
  #underWay: { readonly send: number; readonly to: string }[] = [];
  #sends = 0;

  constructor(members: readonly string[], dice: SeededRandom) {
    this.#members = members;
    this.#dice = dice;
  }

  set(): void {
    const member = this.#dice.pick(this.#members);
    this.steps.push({ set: { member, key: this.#dice.pick(KEYS), any: randomAny(this.#dice) } });
  }

  send(member: string = this.#dice.pick(this.#members)): void {
    this.steps.push({ send: member });
    const send = this.#sends++;
    for (const to of this.#members) if (to !== member) this.#underWay.push({ send, to });
  }

  /** Delivers a random pending letter, and sometimes keeps it for a second delivery. */
  deliverSome(): void {
    if (this.#underWay.length === 0) return;
    const deliver = this.#dice.pick(this.#underWay);
    if (this.#dice.chance(0.8)) this.#underWay = this.#underWay.filter((each) => each !== deliver);
    this.steps.push({ deliver });
  }

  deliverAll(): void {
    const left = this.#underWay.map((deliver) => ({ deliver, at: this.#dice.whole(0, 2 ** 30) }));
    for (const { deliver } of left.sort((one, other) => one.at - other.at)) this.steps.push({ deliver });
    this.#underWay = [];
  }
}

/** The result of a history with Hearsay's engines. Every message is encoded and decoded. */
export function replay(history: History): Outcome {
  const clock = new TestClock();
  const engines = new Map(makeCluster(history.members, clock).map((engine) => [engine.view.id, engine]));
  for (const one of engines.values()) {
    for (const other of engines.values()) if (one.view.id < other.view.id) handshake(one, other, clock);
  }
  for (const engine of engines.values()) {
    setAny(engine, { key: TOPOLOGY_KEY, any: topologyOf(history), clock });
  }
  const sends: { readonly from: Engine; readonly letters: Map<string, Letter> }[] = [];
  const updates: Update[][] = [];
  for (const step of history.steps) {
    if ("set" in step) {
      setAny(engines.get(step.set.member)!, { ...step.set, clock });
    } else if ("send" in step) {
      const from = engines.get(step.send)!;
      const others = history.members.filter((id) => id !== from.view.id);
      sends.push({ from, letters: new Map(others.map((to) => [to, write(from, to)])) });
    } else {
      const { from, letters } = sends[step.deliver.send]!;
      const to = engines.get(step.deliver.to)!;
      updates.push(deliver(letters.get(to.view.id)!, { from, to, clock }));
    }
  }
  return { name: history.name, updates, states: statesOf([...engines.values()]) };
}

/** An encoded message, with the sender's record of it. */
interface Letter {
  readonly text: string;
  readonly sent: Sent;
}

function write(from: Engine, to: string): Letter {
  const { delta, sent } = from.disseminate(to);
  return {
    text: encode({ type: "gossip", liveness: { count: 0 }, id: "d1", memberId: from.view.id, delta }),
    sent,
  };
}

function deliver(
  { text, sent }: Letter,
  { from, to, clock }: { readonly from: Engine; readonly to: Engine; readonly clock: TestClock },
): Update[] {
  const message = decode(text, { maxMessageBytes: 1_048_576 });
  if (message.type !== "gossip") throw new Error(`A gossip was read as ${message.type}.`);
  const { holds, events } = to.applyIncoming(from.view.id, message.delta, clock.now);
  from.handleAck(sent, new Map(holds), clock.now);
  return events.flatMap((event) =>
    event.type === "GossipUpdate"
      ? [{ member: event.memberId, key: event.key, number: event.sequenceNumber }]
      : []
  ).sort((one, other) =>
    one.member < other.member ? -1 : one.member > other.member ? 1 : one.number - other.number
  );
}

function setAny(
  engine: Engine,
  what: { readonly key: string; readonly any: JsonValue; readonly clock: TestClock },
) {
  const { type, value, json } = readAny(what.any, new JsonPath("any"));
  if (value === undefined) throw new Error("The Any has no value.");
  engine.set(what.key, { type, value, json }, what.clock.now);
}

/** The topology as a Go member sets it itself for these members. */
function topologyOf({ members }: History): JsonValue {
  const records = members.map((id) => ({ host: id, port: 1, id }));
  const hash = topologyHash(members);
  const type = "type.googleapis.com/cluster.ClusterTopology";
  return { "@type": type, topologyHash: hash, members: records, joined: records };
}

function statesOf(engines: readonly Engine[]): Outcome["states"] {
  const ids = engines.map(({ view }) => view.id);
  const entries = (holder: Engine, id: string) =>
    [TOPOLOGY_KEY, ...KEYS].flatMap((key) => {
      const held = holder.view.get(id, key);
      return held ? [[key, { number: held.number, any: JSON.parse(anyText(held)) }] as const] : [];
    });
  const states = engines.map((holder) => [
    holder.view.id,
    Object.fromEntries(ids.map((id) => [id, Object.fromEntries(entries(holder, id))])),
  ]);
  return Object.fromEntries(states);
}
