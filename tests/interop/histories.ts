/**
 * Histories of members that set keys and gossip, and what the engine makes of them; protoactor-go's own gossip
 * actors live through the same in `tests/interop/vectors`.
 *
 * @module
 */

import type { Engine, Sent } from "../../engine/engine.ts";
import { topologyHash } from "../../engine/murmur3.ts";
import { type JsonValue, TOPOLOGY_KEY } from "../../engine/types.ts";
import { decode, encode } from "../../transport/wire.ts";
import { anyText, readAny } from "../../transport/wire_any.ts";
import { Place } from "../../transport/wire_check.ts";
import { Dice } from "../simulation/dice.ts";
import { greet, makeCluster, TestClock } from "../unit/engine/harness.ts";
import { randomAny } from "./values.ts";

/** What some members do, one step after the other. All know of each other from the start. */
export interface History {
  readonly name: string;
  readonly members: readonly string[];
  readonly steps: readonly Step[];
}

/** A member sets a key; or tells all others what is new to them; or that, from the given send, reaches one. */
export type Step =
  | { readonly set: { readonly member: string; readonly key: string; readonly any: JsonValue } }
  | { readonly send: string }
  | { readonly deliver: { readonly send: number; readonly to: string } };

/** What came of a history: what each delivery changed, and what every member holds of every other. */
export interface Outcome {
  readonly name: string;
  readonly updates: readonly (readonly Update[])[];
  /** By who holds it, by whose it is, by key. */
  readonly states: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, Held>>>>>>;
}

/** One key that a delivery changed. */
export interface Update {
  readonly member: string;
  readonly key: string;
  readonly number: number;
}

/** What a key is set to. */
export interface Held {
  readonly number: number;
  readonly any: JsonValue;
}

/** A history in the committed file, with what protoactor-go made of it. */
export interface Lived {
  readonly history: History;
  readonly outcome: Outcome;
}

/** Where some histories are kept, with what protoactor-go made of them. */
export const HISTORIES_FILE = new URL("histories.json", import.meta.url);

/** Not the heartbeat: that is an entry like any other there, and a count beside the state here. */
const KEYS = ["load", "version", "note", "__proto__"];

/** Whether every delivery of a history comes at once and once: then each changes the same here and there. */
export function isInOrder({ name }: History | Outcome): boolean {
  return name.startsWith("in order");
}

/** A history that follows from its seed: half of them in order, half with deliveries late, twice and in any order. */
export function randomHistory(seed: number, { steps }: { readonly steps: number }): History {
  const dice = new Dice(seed);
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
  // What went astray only for a while reaches everybody now, and what they then know too.
  for (const _ of members) {
    for (const member of members) {
      writer.send(member);
      writer.deliverAll();
    }
  }
  return { name: `${inOrder ? "in order" : "late"}, ${seed}`, members, steps: writer.steps };
}

/** Writes a history down. */
class Writer {
  readonly steps: Step[] = [];
  readonly #members: readonly string[];
  readonly #dice: Dice;
  #underWay: { readonly send: number; readonly to: string }[] = [];
  #sends = 0;

  constructor(members: readonly string[], dice: Dice) {
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

  /** One of what is under way arrives, and perhaps once more later. */
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

/** What engines make of a history. Every message goes through its text. */
export function replay(history: History): Outcome {
  const clock = new TestClock();
  const engines = new Map(makeCluster(history.members, clock).map((engine) => [engine.id, engine]));
  for (const one of engines.values()) {
    for (const other of engines.values()) if (one.id < other.id) greet(one, other, clock);
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
      const others = history.members.filter((id) => id !== from.id);
      sends.push({ from, letters: new Map(others.map((to) => [to, write(from, to)])) });
    } else {
      const { from, letters } = sends[step.deliver.send]!;
      const to = engines.get(step.deliver.to)!;
      updates.push(deliver(letters.get(to.id)!, { from, to, clock }));
    }
  }
  return { name: history.name, updates, states: statesOf([...engines.values()]) };
}

/** What one member tells another: its text, and what the teller remembers of it. */
interface Letter {
  readonly text: string;
  readonly sent: Sent;
}

function write(from: Engine, to: string): Letter {
  const { delta, sent } = from.disseminate(to);
  return {
    text: encode({ type: "gossip", liveness: { count: 0 }, id: "d1", memberId: from.id, delta }),
    sent,
  };
}

function deliver(
  { text, sent }: Letter,
  { from, to, clock }: { readonly from: Engine; readonly to: Engine; readonly clock: TestClock },
): Update[] {
  const message = decode(text, { maxMessageBytes: 1_048_576 });
  if (message.type !== "gossip") throw new Error(`A gossip was read as ${message.type}.`);
  const { holds, events } = to.applyIncoming(from.id, message.delta, clock.now);
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
  const { type, value, json } = readAny(what.any, new Place("any"));
  if (value === undefined) throw new Error("An Any has a value.");
  engine.set(what.key, { type, value, json }, what.clock.now);
}

/** What a Go member makes of the same list: it gets the topology by itself. */
function topologyOf({ members }: History): JsonValue {
  const records = members.map((id) => ({ host: id, port: 1, id }));
  const hash = topologyHash(members);
  const type = "type.googleapis.com/cluster.ClusterTopology";
  return { "@type": type, topologyHash: hash, members: records, joined: records };
}

function statesOf(engines: readonly Engine[]): Outcome["states"] {
  const ids = engines.map(({ id }) => id);
  const entries = (holder: Engine, id: string) =>
    [TOPOLOGY_KEY, ...KEYS].flatMap((key) => {
      const held = holder.get(id, key);
      return held ? [[key, { number: held.number, any: JSON.parse(anyText(held)) }] as const] : [];
    });
  const states = engines.map((holder) => [
    holder.id,
    Object.fromEntries(ids.map((id) => [id, Object.fromEntries(entries(holder, id))])),
  ]);
  return Object.fromEntries(states);
}
