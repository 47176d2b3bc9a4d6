import { assert, assertEquals } from "../../deps/std_assert.ts";
import { hash53, ownersOf, type Ranked } from "../../roles/rendezvous.ts";

const KEYS = Array.from({ length: 3_000 }, (_, index) => `key ${index}`);

function candidates(ids: readonly string[], more: Partial<Ranked> = {}): Ranked[] {
  return ids.map((id) => ({ id, weight: 1, zone: undefined, ...more }));
}

/** The number of keys of each owner. */
function sharesOf(among: readonly Ranked[]): Record<string, number> {
  const shares: Record<string, number> = {};
  for (const key of KEYS) {
    const [owner = ""] = ownersOf(key, among, { replicas: 1 });
    shares[owner] = (shares[owner] ?? 0) + 1;
  }
  return shares;
}

Deno.test("ownersOf: the order of the candidates does not matter", () => {
  const among = candidates(["a", "b", "c", "d"]);
  for (const key of KEYS.slice(0, 100)) {
    const owners = ownersOf(key, among, { replicas: 2 });
    assertEquals(ownersOf(key, [...among].reverse(), { replicas: 2 }), owners);
    assertEquals(new Set(owners).size, 2);
  }
});

Deno.test("ownersOf: equal weights get equal shares, within 10 %", () => {
  const shares = sharesOf(candidates(["a", "b", "c"]));
  for (const share of Object.values(shares)) assert(Math.abs(share - 1_000) < 100, JSON.stringify(shares));
});

Deno.test("ownersOf: a weight of 3 gets three times the share of 1, within 10 %", () => {
  const shares = sharesOf([...candidates(["a"], { weight: 3 }), ...candidates(["b", "c"])]);
  assert(Math.abs(shares["a"]! - 1_800) < 180, JSON.stringify(shares));
});

Deno.test("ownersOf: only a departed candidate's keys move; a new candidate only gains keys", () => {
  const four = candidates(["a", "b", "c", "d"]);
  const three = four.filter(({ id }) => id !== "b");
  for (const key of KEYS) {
    const [before] = ownersOf(key, four, { replicas: 1 });
    const [after] = ownersOf(key, three, { replicas: 1 });
    assert(before === after || before === "b", key);
  }
});

Deno.test("ownersOf: with replicas, a zone gets a second owner of a key only after every zone has an owner", () => {
  const among = [
    ...candidates(["a", "b", "c"], { zone: "east", weight: 100 }),
    ...candidates(["d"], { zone: "west" }),
    ...candidates(["e"]),
  ];
  for (const key of KEYS.slice(0, 200)) {
    const owners = ownersOf(key, among, { replicas: 3 });
    assertEquals(owners.filter((id) => "abc".includes(id)).length, 1, owners.join());
    const four = ownersOf(key, among, { replicas: 4 });
    assertEquals(four.slice(0, 3), owners);
    assertEquals(four.filter((id) => "abc".includes(id)).length, 2);
  }
});

Deno.test("ownersOf: there are at most as many owners as candidates, and no owner without a candidate", () => {
  assertEquals(ownersOf("k", candidates(["a"]), { replicas: 3 }), ["a"]);
  assertEquals(ownersOf("k", [], { replicas: 3 }), []);
  assertEquals(ownersOf("k", [], { replicas: 1 }), []);
});

Deno.test("hash53: has fixed values, because members of two versions must agree", () => {
  assertEquals([hash53(""), hash53("a"), hash53("a", 1)], [
    3338908027751811,
    7929297801672961,
    5368154436228575,
  ]);
});
