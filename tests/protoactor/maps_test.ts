import { assert, assertEquals } from "../../deps/std_assert.ts";
import { copyJson } from "../../engine/json.ts";
import { makeIncarnation, NO_INCARNATION } from "../../engine/incarnation.ts";
import { type Entry, type JsonValue, type MemberDelta, type SentEntry, TYPE } from "../../engine/types.ts";
import { GO_MAP, goItemsOf } from "../../maps/go_map.ts";
import type { Any, GossipState } from "../../protoactor/transport/definitions.ts";
import { mapsOf } from "../../protoactor/maps.ts";
import { type MapSource, mapStates, MAX_MAP_BYTES, withoutMaps } from "../../protoactor/transport/maps.ts";
import { numberInIncarnation } from "../../protoactor/transport/numbers.ts";
import { stateOf } from "../../protoactor/transport/state.ts";
import { anyOf, mapAnyOf, readBinaryAny, withMaps } from "../../protoactor/transport/values.ts";
import { TestCluster } from "../requirements/harness.ts";

const LIFE = makeIncarnation(1_700_000_000_000, 0.5);

function set(key: string, number: number, value: JsonValue): Entry {
  return { key, number, type: TYPE.value, timestampMs: 1, ...copyJson(value) };
}

function deleted(key: string, number: number): SentEntry {
  return { key, number, type: "", value: undefined, json: "" };
}

function delta(id: string, entries: readonly SentEntry[], incarnation = LIFE): MemberDelta {
  return { id, incarnation, after: 0, reset: false, entries };
}

/** A source of these entries, each member with the version 9. */
class Source implements MapSource {
  readonly tooLarge: string[] = [];
  readonly #entries: Readonly<Record<string, readonly Entry[]>>;

  constructor(entries: Readonly<Record<string, readonly Entry[]>>) {
    this.#entries = entries;
  }

  stateOf(id: string, incarnation: string): ReturnType<MapSource["stateOf"]> {
    return incarnation === LIFE || incarnation === NO_INCARNATION
      ? { number: 9, entries: this.#entries[id] ?? [] }
      : undefined;
  }

  onTooLarge({ memberId, key }: { readonly memberId: string; readonly key: string }): void {
    this.tooLarge.push(`${memberId} ${key}`);
  }
}

/** The maps in states, as a Go member reads them. */
function mapsIn(states: readonly GossipState[]): unknown[] {
  return states.map(({ members }) =>
    members.flatMap(({ key: id, value }) =>
      value!.values.map(({ key, value }) => {
        const any = value!.value as Any;
        return [id, key, goItemsOf(readBinaryAny(any, withMaps({})).value), value!.sequenceNumber];
      })
    )
  );
}

const NINE = numberInIncarnation(LIFE, 9);

Deno.test("protoactor maps: a changed entry sends the whole map as one cluster.GossipMap under its key, with the member's version", () => {
  const entries = [
    set("stock␟tea", 2, 3),
    set("plain", 3, 1),
    set("other␟x", 4, 1),
    set("stock␟milk", 5, [1]),
  ];
  const source = new Source({ a: entries });
  const states = mapStates({ members: [delta("a", [entries[3]!])] }, source);
  assertEquals(mapsIn(states), [[["a", "stock", { tea: 3, milk: [1] }, NINE]]]);
  const any = states[0]!.members[0]!.value!.values[0]!.value!.value!;
  assertEquals(any.typeUrl, "type.googleapis.com/cluster.GossipMap");
});

Deno.test("protoactor maps: a deleted entry sends the map without that entry, and the last deleted entry sends an empty map", () => {
  const gone = { members: [delta("a", [deleted("stock␟tea", 8)])] };
  assertEquals(mapsIn(mapStates(gone, new Source({ a: [set("stock␟milk", 5, 1)] }))), [[
    ["a", "stock", { milk: 1 }, NINE],
  ]]);
  assertEquals(mapsIn(mapStates(gone, new Source({}))), [[["a", "stock", {}, NINE]]]);
});

Deno.test("protoactor maps: entries of other keys, of Go members and of another incarnation are put into no map", () => {
  const source = new Source({ a: [set("stock␟tea", 2, 3)], g: [set("stock␟tea", 2, 3)] });
  const others = [
    delta("a", [set("stock", 1, 1), set("topology␟x", 2, 1), set("␟x", 3, 1), set("heartbeat␟x", 4, 1)]),
    delta("g", [set("stock␟tea", 2, 3)], NO_INCARNATION),
    delta("a", [set("stock␟tea", 2, 3)], makeIncarnation(1_700_000_000_001, 0.5)),
  ];
  assertEquals(mapStates({ members: others }, source), []);
  const kept = withoutMaps({ members: others }).members.map(({ entries }) => entries.map(({ key }) => key));
  assertEquals(kept, [["stock", "topology␟x", "␟x", "heartbeat␟x"], ["stock␟tea"], []]);
});

Deno.test("protoactor maps: maps too large for one request are sent in several requests, and a map above 3 MiB is not sent", () => {
  const large = "x".repeat(2_000_000);
  const source = new Source({
    a: [set("one␟k", 1, large), set("two␟k", 2, large), set("two␟l", 3, large), set("three␟k", 4, 1)],
    b: [
      set("one␟k", 1, large),
      set("two␟k", 2, large),
      set("three␟k", 3, large),
      set("four␟k", 4, large),
      set("five␟k", 5, 1),
    ],
  });
  const members = ["a", "b"].map((id) => delta(id, source.stateOf(id, LIFE)!.entries));
  const states = mapStates({ members }, source);
  const sent = (mapsIn(states) as [string, string][][]).map((maps) =>
    maps.map(([id, key]) => `${id} ${key}`)
  );
  assertEquals(sent, [["a one", "a three"], ["b one"], ["b two"], ["b three", "b five"]]);
  assertEquals(source.tooLarge, ["a two", "b four"]);
  assert(MAX_MAP_BYTES < 4_000_000);
});

Deno.test("protoactor maps: a Go member's map is decoded with the decoders of its items, and passed on byte for byte", () => {
  const text: Any = {
    typeUrl: "type.googleapis.com/google.protobuf.StringValue",
    value: Uint8Array.fromBase64("CgJoaQ=="),
  };
  const inner = mapAnyOf([{ key: "x", value: anyOf(set("x", 1, 1)) }]);
  const map = mapAnyOf([
    { key: "json", value: anyOf(set("x", 1, { a: null })) },
    { key: "text", value: text },
    { key: "__proto__", value: anyOf(set("x", 1, 1)) },
    { key: "nested", value: inner },
    { key: "nothing" },
  ]);
  const decoders = withMaps({
    "google.protobuf.StringValue": (bytes: Uint8Array) => new TextDecoder().decode(bytes.subarray(2)),
  });
  const read = readBinaryAny(map, decoders);
  const items = Object.entries(goItemsOf(read.value)!);
  assertEquals(items, [
    ["json", { a: null }],
    ["text", "hi"],
    ["__proto__", 1],
    ["nested", { typeUrl: inner.typeUrl, bytes: inner.value.toBase64() }],
  ]);
  const sent = anyOf({ key: "k", number: 1, ...read });
  assertEquals([sent.typeUrl, sent.value.toBase64()], [map.typeUrl, map.value.toBase64()]);
  assertEquals(goItemsOf(readBinaryAny(mapAnyOf([]), decoders).value), {});
  const own = withMaps({ [GO_MAP]: (bytes) => bytes.length });
  assertEquals(readBinaryAny(map, own).value, map.value.length);
});

Deno.test("protoactor maps: without a source of maps their entries are sent under their own keys", () => {
  const [member] = stateOf({ members: [delta("a", [set("stock␟tea", 2, 3)])] }).members;
  assertEquals(member!.value!.values.map(({ key }) => key), ["stock␟tea"]);
});

Deno.test("protoactor maps: a member's maps have its present entries and version, and a map that is too large emits one event", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const { gossiper } = cluster.of("a");
  gossiper.setState("stock␟short", 1, { expiresAfter: 1_000 });
  gossiper.setState("stock␟tea", 2);
  gossiper.setState("stock␟milk", 3);
  gossiper.deleteState("stock␟milk");
  const maps = mapsOf(gossiper);
  const { incarnation } = gossiper.members[0]!;
  const keys = () =>
    maps.stateOf("a", incarnation!)!.entries.map(({ key }) => key).filter((key) => /␟/.test(key));
  assertEquals(keys(), ["stock␟short", "stock␟tea"]);
  const { number } = maps.stateOf("a", incarnation!)!;
  assert(number > gossiper.getState("stock␟tea").get("a")!.sequenceNumber + 1, "the deletion counts");
  await cluster.advance(1_400);
  assertEquals(keys(), ["stock␟tea"]);
  assertEquals([maps.stateOf("a", LIFE), maps.stateOf("b", LIFE)], [undefined, undefined]);
  for (const key of ["stock", "stock", "other"]) maps.onTooLarge({ memberId: "b", key });
  await cluster.advance(10);
  assertEquals(
    cluster.of("a").emitted("ConflictDetected").map(({ memberId, reason, key }) => [memberId, reason, key]),
    [["b", "limit", "stock"], ["b", "limit", "other"]],
  );
});
