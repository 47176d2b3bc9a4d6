import { assertEquals } from "../../../deps/std_assert.ts";
import { dashboard } from "../../../operations/dashboard/mod.ts";
import {
  MAX_ENTRIES,
  MAX_KEYS,
  MAX_SCANNED,
  VALUES_SHOWN_AT_FIRST,
} from "../../../operations/dashboard/limits.ts";
import { TestCluster } from "../../requirements/harness.ts";
import { dataAt } from "./requests.ts";

Deno.test("state: is listed by key, with the number of different values", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  for (const id of ["a", "b"]) cluster.of(id).gossiper.setState("same", [1]);
  for (const id of ["a", "b"]) cluster.of(id).gossiper.setState("other", id);
  await cluster.runUntil(() => cluster.isConfirmed());
  const { state } = await dataAt(dashboard(cluster.of("a").gossiper));
  assertEquals(
    state.keys.map(({ key, members, values, entries }) => [
      key,
      members,
      values,
      entries.map(({ id, value }) => `${id} ${value}`),
    ]),
    [["other", 2, 2, ['a "a"', 'b "b"']], ["same", 2, 1, ["a [1]", "b [1]"]]],
  );
  assertEquals([state.keyCount, state.shown, state.matching, state.isWhole], [2, 4, 4, true]);
});

Deno.test("state: a search finds keys, values and members, in any case", async () => {
  await using cluster = await TestCluster.started(["a", "zoe"]);
  cluster.of("a").gossiper.setState("Region", "EU-West");
  cluster.of("zoe").gossiper.setState("load", 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  const show = dashboard(cluster.of("a").gossiper);
  const found = async (search: string) =>
    (await dataAt(show, `?search=${search}`)).state.keys.map(({ key }) => key);
  assertEquals(await found("region"), ["Region"]);
  assertEquals(await found("eu-w"), ["Region"]);
  assertEquals(await found("ZOE"), ["load"]);
  assertEquals(await found("nothing"), []);
});

Deno.test("state: the keys of the library are left out unless the request asks for them", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  const show = dashboard(cluster.of("a").gossiper);
  assertEquals((await dataAt(show)).state.keys, []);
  const internal = await dataAt(show, "?internal=true");
  assertEquals(internal.state.keys.map(({ key }) => key).includes("topology"), true);
});

Deno.test("state: with many members, rare values come first", async () => {
  const ids = Array.from(
    { length: VALUES_SHOWN_AT_FIRST + 2 },
    (_, index) => String.fromCharCode(97 + index),
  );
  await using cluster = await TestCluster.started(ids);
  for (const id of ids) cluster.of(id).gossiper.setState("version", id === "h" ? "old" : "new");
  await cluster.runUntil(() => cluster.isConfirmed());
  const [key] = (await dataAt(dashboard(cluster.of("a").gossiper))).state.keys;
  assertEquals([key!.members, key!.values, key!.entries[0]!.id], [ids.length, 2, "h"]);
});

Deno.test("state: shows at most MAX_KEYS keys, and at most MAX_ENTRIES entries of all keys together", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const { gossiper } = cluster.of("a");
  for (let index = 0; index < MAX_KEYS + 50; index++) gossiper.setState(`key ${index}`, "x".repeat(5_000));
  const { state } = await dataAt(dashboard(gossiper));
  assertEquals([state.keyCount, state.matching, state.keys.length], [250, 250, MAX_KEYS]);
  assertEquals(state.shown <= MAX_ENTRIES, true);
  assertEquals(JSON.stringify(state).length < MAX_KEYS * 600, true);
});

Deno.test("state: a state that is too large to be read as a whole is marked as such", async () => {
  await using cluster = await TestCluster.started(["a"], { config: { maxKeysPerMember: 30_000 } });
  const { gossiper } = cluster.of("a");
  for (let index = 0; index <= MAX_SCANNED; index++) gossiper.setState(`key ${index}`, 1);
  const { state } = await dataAt(dashboard(gossiper), "?search=key");
  assertEquals([state.isWhole, state.matching <= MAX_SCANNED], [false, true]);
});

Deno.test("state: a long key and a long value are cut", async () => {
  await using cluster = await TestCluster.started(["a"]);
  cluster.of("a").gossiper.setState("k".repeat(300), "v".repeat(1_000));
  const { state } = await dataAt(dashboard(cluster.of("a").gossiper));
  assertEquals(state.keys.map(({ key, entries }) => [key, entries.map(({ value }) => value)]), [
    [`${"k".repeat(200)}…`, [`"${"v".repeat(299)}…`]],
  ]);
});
