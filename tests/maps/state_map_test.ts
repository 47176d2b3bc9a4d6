import { assert, assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import type { JsonValue } from "../../engine/types.ts";
import { goMapValue } from "../../maps/go_map.ts";
import {
  getMapKeys,
  getMapState,
  type MapNode,
  mapOf,
  type MapUpdate,
  removeMapState,
  setMapState,
  type StateMap,
} from "../../maps/mod.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { TestCluster } from "../requirements/harness.ts";

/** Connected members, and the map of a key at each. */
async function mapsAt<V = JsonValue>(
  ids: readonly string[],
): Promise<{ readonly cluster: TestCluster; readonly maps: readonly StateMap<V>[] }> {
  const cluster = await TestCluster.started(ids);
  await cluster.runUntil(() => cluster.isConfirmed());
  return { cluster, maps: ids.map((id) => mapOf<V>(cluster.of(id).gossiper, "stock")) };
}

function valuesOf<V>(entries: ReadonlyMap<string, { readonly value: V }>): Record<string, V> {
  return Object.fromEntries(Array.from(entries, ([key, { value }]) => [key, value]));
}

/** The updates that a stream emits from now on; the list grows. */
function collected<V>(stream: ReadableStream<MapUpdate<V>>): MapUpdate<V>[] {
  const all: MapUpdate<V>[] = [];
  void (async () => {
    for await (const update of stream) all.push(update);
  })();
  return all;
}

Deno.test("maps: setMapState, getMapState, removeMapState and getMapKeys change and read this member's own map, as in protoactor-go", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const [a, b] = [cluster.of("a").gossiper, cluster.of("b").gossiper];
  setMapState(a, "stock", "tea", 3);
  setMapState(a, "stock", "milk", { left: 1 });
  setMapState(b, "stock", "tea", 8);
  await cluster.runUntil(() => mapOf(b, "stock").entries("a").size === 2);
  assertEquals(getMapKeys(a, "stock"), ["milk", "tea"]);
  assertEquals([getMapState(a, "stock", "tea"), getMapState(a, "stock", "milk")], [3, { left: 1 }]);
  assertEquals([getMapState(b, "stock", "tea"), getMapState(b, "stock", "milk")], [8, undefined]);
  assertEquals([removeMapState(a, "stock", "tea"), removeMapState(a, "stock", "tea")], [true, false]);
  assertEquals([getMapKeys(a, "stock"), getMapState(a, "stock", "tea")], [["milk"], undefined]);
  assertEquals(getMapKeys(a, "sto"), []);
});

Deno.test("maps: a change sends only the entry that changed (E6)", async () => {
  const { cluster, maps: [a, b] } = await mapsAt<string>(["a", "b"]);
  await using _ = cluster;
  for (let at = 0; at < 100; at++) a!.set(`k${at}`, "x".repeat(100));
  await cluster.runUntil(() => b!.entries("a").size === 100);
  await cluster.advance(2_000);
  const before = cluster.sent.length;
  a!.set("k7", "new");
  await cluster.runUntil(() => b!.state("k7").get("a")?.value === "new");
  const texts = cluster.sent.slice(before).map(({ text }) => text).filter((text) => text.includes("stock"));
  assert(texts.length > 0);
  for (const text of texts) assertEquals(text.match(/stock/g)?.length, 1, text);
  assert(a!.delete("k8"));
  await cluster.runUntil(() => b!.entries("a").size === 99);
});

Deno.test("maps: only the entry with `expiresAfter` ends, at all members, and is emitted as expired (E16)", async () => {
  const { cluster, maps: [a, b] } = await mapsAt<number>(["a", "b"]);
  await using _ = cluster;
  const updates = collected(b!.watch());
  a!.set("short", 1, { expiresAfter: 1_000 });
  a!.set("long", 2);
  await cluster.advance(900);
  assertEquals(valuesOf(b!.entries("a")), { short: 1, long: 2 });
  await cluster.advance(600);
  assertEquals(valuesOf(b!.entries("a")), { long: 2 });
  assertEquals([a!.keys(), a!.get("short")], [["long"], undefined]);
  assertEquals(updates.map(({ mapKey, value, deleted, expired }) => [mapKey, value, deleted, expired]), [
    ["short", 1, false, undefined],
    ["long", 2, false, undefined],
    ["short", undefined, true, true],
  ]);
});

Deno.test("maps: setRequest resolves when others have acknowledged the entry, and an aborted signal sets nothing", async () => {
  const { cluster, maps: [a, b] } = await mapsAt<number>(["a", "b"]);
  await using _ = cluster;
  await cluster.finish(a!.setRequest("tea", 3, { acknowledgedBy: "all", expiresAfter: 60_000 }));
  assertEquals(valuesOf(b!.state("tea")), { a: 3 });
  const aborted = a!.setRequest("milk", 3, { signal: AbortSignal.abort() });
  assertEquals(await aborted.catch(({ name }) => name), "AbortError");
  assertEquals(a!.keys(), ["tea"]);
});

Deno.test("maps: sum, sums and union include all members, or only living members", async () => {
  const { cluster, maps: [a, b, c] } = await mapsAt<JsonValue>(["a", "b", "c"]);
  await using _ = cluster;
  a!.set("tea", 1);
  b!.set("tea", 2);
  c!.set("tea", 4);
  c!.set("milk", "no number");
  await cluster.runUntil(() => a!.state("tea").size === 3 && a!.state("milk").size === 1);
  assertEquals([a!.sum("tea"), a!.sum("milk"), a!.sum("none")], [7, 0, 0]);
  assertEquals(a!.sums(), new Map([["tea", 7], ["milk", 0]]));
  const union = [...a!.union()].map(([mapKey, values]) => [mapKey, valuesOf(values)]);
  assertEquals(union, [["tea", { a: 1, b: 2, c: 4 }], ["milk", { c: "no number" }]]);
  cluster.crash("c");
  await cluster.runUntil(() => a!.sum("tea", { among: "alive" }) === 3);
  assertEquals([a!.sum("tea"), a!.sum("tea", { among: "known" })], [7, 7]);
  assertEquals(a!.sums({ among: "alive" }), new Map([["tea", 3]]));
  assertEquals(valuesOf(a!.state("tea", { among: "alive" })), { a: 1, b: 2 });
  assertEquals([...a!.union({ among: "alive" }).keys()], ["tea"]);
  assertEquals(a!.latest("milk", { among: "alive" }), undefined);
  const error = assertThrows(() => a!.sum("tea", { among: "left" } as never), ConfigurationError);
  assertEquals(error.problems.map(({ field }) => field), ["among"]);
});

Deno.test("maps: a suspected member counts as alive, because it still takes part", () => {
  const entry = { value: 1, sequenceNumber: 1, localTimestampUnixMilliseconds: 1 };
  const ids = ["alive", "failed", "left", "suspected"];
  const node = {
    members: ids.map((status) => ({ id: status, status })),
    getState: (key: string) => new Map(key === "stock" ? [] : ids.map((id) => [id, entry])),
  };
  const map = mapOf(node as unknown as MapNode, "stock");
  assertEquals([...map.state("tea", { among: "alive" }).keys()], ["alive", "suspected"]);
});

Deno.test("maps: latest is the entry that was set or merged here last; of two entries at the same time, the higher id counts", async () => {
  const { cluster, maps: [a, b] } = await mapsAt<number>(["a", "b"]);
  await using _ = cluster;
  b!.set("tea", 2);
  await cluster.runUntil(() => a!.state("tea").size === 1);
  assertEquals([a!.latest("tea")?.memberId, a!.latest("tea")?.value], ["b", 2]);
  await cluster.advance(10);
  a!.set("tea", 1);
  const { memberId, value, sequenceNumber } = a!.latest("tea")!;
  assertEquals([memberId, value, sequenceNumber], ["a", 1, a!.state("tea").get("a")!.sequenceNumber]);
  await cluster.runUntil(() => b!.latest("tea")?.memberId === "a");
  assertEquals(a!.latest("none"), undefined);
  assert(Object.isFrozen(a!.latest("tea")));
  const at = { value: 1, sequenceNumber: 1, localTimestampUnixMilliseconds: 5 };
  for (const ids of [["x", "y"], ["y", "x"]]) {
    const node = { getState: (key: string) => new Map(key === "stock" ? [] : ids.map((id) => [id, at])) };
    assertEquals(mapOf(node as unknown as MapNode, "stock").latest("tea")?.memberId, "y");
  }
});

Deno.test("maps: keys in a map may be any text, and entries of different maps never have the same key", async () => {
  const { cluster, maps: [stock, other] } = await mapsAt<number>(["a", "b"]);
  await using _ = cluster;
  const node = cluster.of("a").gossiper;
  const keys = ["", "␟", "␟x", "x␟", "\0", "__proto__", "stock", "😀", "x".repeat(1_016)];
  for (const [value, mapKey] of keys.entries()) stock!.set(mapKey, value);
  const longer = mapOf<number>(node, "stock ");
  longer.set("tea", 1);
  node.setState("stocks", 1);
  assertEquals(stock!.keys(), keys.toSorted());
  assertEquals(longer.keys(), ["tea"]);
  const updates = collected(other!.watch());
  await cluster.runUntil(() => other!.entries("a").size === keys.length);
  await cluster.advance(1_000);
  assertEquals(updates.map(({ mapKey, value }) => [mapKey, value]), keys.map((mapKey, at) => [mapKey, at]));
  for (const [value, mapKey] of keys.entries()) assertEquals(valuesOf(other!.state(mapKey)), { a: value });
});

Deno.test("maps: refuses keys that are too long, reserved, empty, malformed or contain the separator, and names the limit", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const node = cluster.of("a").gossiper;
  const refused = (key: unknown, mapKey: unknown) => {
    const { code, message } = assertThrows(
      () => setMapState(node, key as string, mapKey as string, 1),
      HearsayError,
    );
    assertEquals(code, "invalid_key");
    assert(message.endsWith("Nothing was changed."), message);
    return message;
  };
  setMapState(node, "stock", "é".repeat(508), 1);
  assertEquals(
    refused("stock", "é".repeat(508) + "x"),
    "`key` and `mapKey` must have at most 1021 bytes together; got 1022. Nothing was changed.",
  );
  assert(refused("a␟b", "x").includes("must not contain ␟ (U+241F)"));
  assert(refused("topology", "x").includes("reserved"));
  assert(refused("hearsay.x", "x").includes("reserved"));
  for (const key of ["", "\ud800", 7]) refused(key, "x");
  assert(refused("stock", 7).includes("`mapKey` must be a well-formed text; got 7."));
  refused("stock", "\ud800");
  assertEquals(getMapKeys(node, "stock").length, 1);
});

Deno.test("maps: the map of a member of protoactor-go, one value, is read and watched entry by entry", async () => {
  const { cluster, maps: [map, other] } = await mapsAt<JsonValue>(["a", "b"]);
  await using _ = cluster;
  const go = cluster.of("b").gossiper;
  const updates = collected(map!.watch());
  map!.set("tea", 1);
  go.setState("other", goMapValue({ coffee: 1 }));
  go.setState("stock", goMapValue({ tea: 2, milk: [1], __proto__x: null }));
  await cluster.runUntil(() => map!.entries("b").size === 3);
  assertEquals(valuesOf(map!.state("tea")), { a: 1, b: 2 });
  assertEquals([map!.sum("tea"), valuesOf(map!.entries("b"))], [3, { tea: 2, milk: [1], __proto__x: null }]);
  assertEquals([other!.get("toString"), valuesOf(map!.state("toString"))], [undefined, {}]);
  // The member that set the value reads its own entries too.
  assertEquals([getMapKeys(go, "stock"), getMapState(go, "stock", "tea")], [
    ["__proto__x", "milk", "tea"],
    2,
  ]);
  assertEquals([getMapState(go, "stock", "toString"), getMapState(go, "stock", "coffee")], [
    undefined,
    undefined,
  ]);
  go.setState("stock", goMapValue({ milk: [1], tea: 5 }));
  await cluster.runUntil(() => map!.sum("tea") === 6);
  go.setState("stock", "no map");
  await cluster.runUntil(() => map!.entries("b").size === 0);
  go.deleteState("stock");
  await cluster.advance(100);
  assertEquals(
    updates.map(({ memberId, mapKey, value, deleted }) => [memberId, mapKey, value, deleted]),
    [
      ["a", "tea", 1, false],
      ["b", "tea", 2, false],
      ["b", "milk", [1], false],
      ["b", "__proto__x", null, false],
      ["b", "tea", 5, false],
      ["b", "__proto__x", undefined, true],
      ["b", "milk", undefined, true],
      ["b", "tea", undefined, true],
    ],
  );
});

Deno.test("maps: watch ends with its signal, and when the member leaves", async () => {
  const { cluster, maps: [map] } = await mapsAt<number>(["a"]);
  await using _ = cluster;
  const ending = new AbortController();
  const one = Array.fromAsync(map!.watch({ signal: ending.signal }));
  const other = Array.fromAsync(map!.watch());
  const unread = map!.watch().getReader();
  map!.set("tea", 1);
  await cluster.advance(10);
  ending.abort();
  assertEquals((await one).length, 1);
  map!.set("tea", 2);
  await cluster.advance(10);
  await cluster.stop("a");
  assertEquals((await other).map(({ value }) => value), [1, 2]);
  assertEquals((await unread.read()).done, true, "what was not read by then is dropped");
});
