import { assert, assertEquals } from "../../deps/std_assert.ts";
import * as fc from "../../deps/fast_check.ts";
import type { Engine } from "../../engine/engine.ts";
import { MAX_DEPTH } from "../../engine/json.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import type { JsonValue, MemberDelta, SentEntry } from "../../engine/types.ts";
import type { Gossip } from "../../protocol/message.ts";
import { decode, encode, MAX_KEY_BYTES } from "../../protocol/codec.ts";
import {
  deliver,
  entry,
  exchange,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  message,
  note,
  remove,
  set,
  settle,
  TestClock,
  tombstone,
  WALL_START_MS,
} from "../engine/harness.ts";

/** A change by an owner: a value to set, or `undefined` to delete. */
interface Act {
  readonly key: string;
  readonly value: JsonValue | undefined;
}

const KEYS = ["a", "b", "__proto__", "κ"];
const anAct: fc.Arbitrary<Act> = fc.record({
  key: fc.constantFrom(...KEYS),
  value: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom(undefined)),
});
const someActs = fc.array(anAct, { minLength: 1, maxLength: 30 });
const INCARNATION = makeIncarnation(WALL_START_MS, 0.5);

/** The model: a plain map with the last change of each key after `count` acts. */
function modelAfter(acts: readonly Act[], count: number): Map<string, SentEntry> {
  const state = new Map<string, SentEntry>();
  for (const [index, { key, value }] of acts.slice(0, count).entries()) {
    const number = index + 1;
    state.set(key, value === undefined ? tombstone(key, number) : entry(key, number, value));
  }
  return state;
}

/** The delta for a peer with the first `from` acts, made by a member with the first `to` acts. */
function deltaOf(
  acts: readonly Act[],
  { from, to }: { readonly from: number; readonly to: number },
): MemberDelta {
  const entries = [...modelAfter(acts, to).values()].filter(({ number }) => number > from);
  return memberDelta("owner", INCARNATION, entries.sort((one, other) => one.number - other.number), {
    after: from,
  });
}

/** State of a member in an engine, in the form of the model. */
function entriesOf(engine: Engine, id: string): Record<string, readonly [number, JsonValue | undefined]> {
  const live = KEYS.flatMap((key) => {
    const held = engine.view.get(id, key);
    return held ? [[key, [held.number, held.value]] as const] : [];
  });
  return Object.fromEntries(live);
}

function modelOf(
  state: ReadonlyMap<string, SentEntry>,
): Record<string, readonly [number, JsonValue | undefined]> {
  const live = [...state.values()].filter(({ value }) => value !== undefined);
  const inOrder = KEYS.flatMap((key) => live.filter((each) => each.key === key));
  return Object.fromEntries(inOrder.map(({ key, number, value }) => [key, [number, value] as const]));
}

function receiver(): { readonly engine: Engine; readonly clock: TestClock } {
  const clock = new TestClock();
  const engine = makeEngine("self", clock);
  note(engine, engine.setTopology({ members: ["self", "owner", "other", "third"], blocked: [] }, clock.now));
  return { engine, clock };
}

const someSlices = fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 30 })), {
  maxLength: 40,
});

Deno.test("merge: after deltas in any order, repeated or lost, the state is a prefix, and the full delta gives the full state (E3, E4)", () => {
  fc.assert(
    fc.property(someActs, someSlices, (acts, slices) => {
      const { engine, clock } = receiver();
      let held = 0;
      for (const [one, other] of slices) {
        const [from, to] = [Math.min(one, other, acts.length), Math.min(Math.max(one, other), acts.length)];
        const delta = deltaOf(acts, { from, to });
        deliver(engine, "other", delta, clock);
        const last = delta.entries.at(-1)?.number ?? 0;
        // Model: a delta with a gap is ignored, and nothing merged is removed.
        if (from <= held) held = Math.max(held, last);
        assertEquals(engine.view.versionOf("owner")?.number ?? 0, held);
        assertEquals(entriesOf(engine, "owner"), modelOf(modelAfter(acts, held)));
      }
      deliver(engine, "other", deltaOf(acts, { from: 0, to: acts.length }), clock);
      assertEquals(entriesOf(engine, "owner"), modelOf(modelAfter(acts, acts.length)));
    }),
    { numRuns: 300 },
  );
});

Deno.test("merge: is commutative, associative and idempotent over states of several owners (E3)", () => {
  const states = fc.array(
    fc.tuple(fc.constantFrom("owner", "other", "third"), someActs, fc.integer({ min: 1, max: 30 })),
    {
      minLength: 1,
      maxLength: 6,
    },
  );
  const orders = fc.tuple(fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 20 }), states);
  fc.assert(
    fc.property(orders, ([order, given]) => {
      // Every owner has one history; all deltas are parts of it.
      const histories = new Map(given.map(([id, acts]) => [id, acts]));
      const deltas = given.map(([id, , count]) => {
        const acts = histories.get(id)!;
        return { ...deltaOf(acts, { from: 0, to: Math.min(count, acts.length) }), id };
      });
      const merged = (indices: readonly number[]) => {
        const { engine, clock } = receiver();
        for (const index of indices) deliver(engine, "third", deltas[index]!, clock);
        return {
          digest: engine.view.digest,
          held: ["owner", "other", "third"].map((id) => entriesOf(engine, id)),
        };
      };
      const all = deltas.map((_, index) => index);
      const shuffled = [...order.map((each) => each % deltas.length), ...all.toReversed()];
      assertEquals(merged(shuffled), merged(all));
      assertEquals(merged([...all, ...all]), merged(all));
    }),
    { numRuns: 300 },
  );
});

Deno.test("merge: one message with three members and three messages in any order give the same digest (E4)", () => {
  fc.assert(
    fc.property(someActs, someActs, someActs, fc.integer({ min: 0, max: 5 }), (one, two, three, turn) => {
      const deltas = [["owner", one], ["other", two], ["third", three]].map(([id, acts]) => ({
        ...deltaOf(acts as readonly Act[], { from: 0, to: acts!.length }),
        id: id as string,
      }));
      const together = receiver();
      note(together.engine, together.engine.applyIncoming("other", message(...deltas), together.clock.now));
      const apart = receiver();
      const turned = turn < 3 ? deltas.toReversed() : deltas;
      for (let index = 0; index < 3; index++) {
        deliver(apart.engine, "other", turned[(index + turn) % 3]!, apart.clock);
      }
      assertEquals(apart.engine.view.digest, together.engine.view.digest);
    }),
    { numRuns: 200 },
  );
});

/** Steps of two members: a change by one of them, or an exchange with one part lost. */
const someEvents = fc.array(
  fc.oneof(
    fc.record({ actor: fc.integer({ min: 0, max: 1 }), act: anAct }),
    fc.record({
      actor: fc.integer({ min: 0, max: 1 }),
      lose: fc.constantFrom("nothing", "request", "reply", "ack"),
    }),
  ),
  { maxLength: 60 },
);

Deno.test("deltas: deltas after the acknowledged version lead to the full state despite lost messages (E4, E5)", () => {
  fc.assert(
    fc.property(someEvents, (events) => {
      const clock = new TestClock();
      const pair = makePair(clock);
      const models = [new Map<string, JsonValue>(), new Map<string, JsonValue>()];
      for (const event of events) {
        const [mine, other] = [pair[event.actor as 0 | 1], pair[1 - event.actor as 0 | 1]];
        clock.advance(10);
        if ("lose" in event) {
          const lose = event.lose === "nothing" ? {} : { lose: event.lose as "request" | "reply" | "ack" };
          exchange(mine, other, { clock, ...lose });
          continue;
        }
        const { key, value } = event.act;
        if (value === undefined) {
          remove(mine, key, clock);
          models[event.actor]!.delete(key);
        } else {
          set(mine, key, value, clock);
          models[event.actor]!.set(key, value);
        }
      }
      settle(pair, { clock });
      for (const [index, owner] of pair.entries()) {
        const held = (engine: Engine) => KEYS.map((key) => engine.view.get(owner.view.id, key)?.value);
        const expected = KEYS.map((key) => models[index]!.get(key));
        assertEquals([held(pair[0]), held(pair[1])], [expected, expected]);
      }
      assertEquals(pair[0].view.digest, pair[1].view.digest);
      assertEquals(pair.map(({ view }) => view.phase), ["confirmed", "confirmed"]);
    }),
    { numRuns: 300 },
  );
});

Deno.test("phase: no member of four is confirmed before all others have its state (E5, E12)", () => {
  const ids = ["a", "b", "c", "d"];
  const steps = fc.array(
    fc.record({ from: fc.integer({ min: 0, max: 3 }), to: fc.integer({ min: 0, max: 3 }), act: anAct }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (all) => {
      const clock = new TestClock();
      const engines = makeCluster(ids, clock);
      for (const { from, to, act } of all) {
        clock.advance(10);
        if (from === to) {
          if (act.value === undefined) remove(engines[from]!, act.key, clock);
          else set(engines[from]!, act.key, act.value, clock);
        } else exchange(engines[from]!, engines[to]!, { clock });
        for (const engine of engines) {
          if (engine.view.phase !== "confirmed") continue;
          for (const peer of engines) {
            for (const id of ids) {
              // A peer's own state may have grown since.
              if (id === peer.view.id) continue;
              const [mine, theirs] = [
                engine.view.versionOf(id)?.number ?? 0,
                peer.view.versionOf(id)?.number ?? 0,
              ];
              assert(
                theirs >= mine,
                `${engine.view.id} is confirmed, and ${peer.view.id} lacks ${id}@${mine}`,
              );
            }
          }
        }
      }
    }),
    { numRuns: 300 },
  );
});

const aKey = fc.oneof(
  fc.string({ unit: "binary", minLength: 1, maxLength: 40 }),
  fc.constantFrom("__proto__", "constructor", "𝄞".repeat(MAX_KEY_BYTES / 4), "\u0000", "é"),
);

/** Any JSON value; some are nested to the limit. */
const aValue: fc.Arbitrary<JsonValue> = fc.oneof(
  fc.jsonValue({ stringUnit: "binary" }) as fc.Arbitrary<JsonValue>,
  fc.tuple(
    fc.integer({ min: 1, max: MAX_DEPTH - 1 }),
    fc.constantFrom<JsonValue>("𝄞", null, 1e-7, "__proto__"),
  ).map(
    ([depth, engineHost]) => {
      let value: JsonValue = engineHost;
      for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { "__proto__x": value };
      return value;
    },
  ),
);

Deno.test("codec: decoding an encoded message gives the original for any key and JSON value (P3)", () => {
  const entries = fc.array(fc.tuple(aKey, fc.oneof(aValue, fc.constantFrom(undefined))), { maxLength: 5 });
  fc.assert(
    fc.property(entries, (given) => {
      const byKey = new Map(given.filter(([key]) => new TextEncoder().encode(key).length <= MAX_KEY_BYTES));
      const sent = [...byKey].map(([key, value], index) =>
        value === undefined ? tombstone(key, index + 1) : entry(key, index + 1, normal(value))
      );
      const gossip: Gossip = {
        type: "gossip",
        liveness: { count: 0 },
        id: "d7",
        memberId: "a",
        delta: message(memberDelta("x", INCARNATION, sent)),
      };
      const read = decode(encode(gossip), { maxMessageBytes: 2 ** 24 });
      assert(read.type === "gossip");
      const [member] = read.delta.members;
      const shown = (entries: readonly SentEntry[] = []) =>
        entries.map(({ key, number, type, json }) => [key, number, type, json]);
      assertEquals(shown(member?.entries), shown(sent));
      assertEquals(encode(read), encode(gossip));
    }),
    { numRuns: 500 },
  );
});

/** The value after JSON: -0 becomes 0. */
function normal(value: JsonValue): JsonValue {
  return JSON.parse(JSON.stringify(value));
}
