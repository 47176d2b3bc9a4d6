import { assertEquals } from "../../../deps/std_assert.ts";
import { Departures } from "../../../engine/membership/departures.ts";

const EARLY = "018bcfe56800-00000000";
const LATE = "018bcfe56801-00000000";

Deno.test("departures: state of a departed member is passed on for half the retention (E11)", () => {
  const departures = new Departures(600, 10);
  departures.depart("a", 1_000);
  assertEquals([1_000, 1_299, 1_300, 9_999].map((atMs) => departures.passesOn("a", atMs)), [
    true,
    true,
    false,
    false,
  ]);
  assertEquals(departures.passesOn("a member that never departed", 9_999), true);
});

Deno.test("departures: state of a departed member is dropped once, after all of the retention (E11)", () => {
  const departures = new Departures(600, 10);
  departures.depart("a", 1_000);
  departures.depart("b", 1_200);
  assertEquals(departures.takeExpired(1_599), []);
  assertEquals(departures.takeExpired(1_600), ["a"]);
  assertEquals(departures.takeExpired(1_799), []);
  assertEquals(departures.takeExpired(9_999), ["b"]);
  assertEquals(departures.takeExpired(99_999), []);
});

Deno.test("departures: the retention starts with the first departure and ends with the return (E11)", () => {
  const departures = new Departures(600, 10);
  departures.depart("a", 1_000);
  departures.depart("a", 1_500);
  assertEquals(departures.passesOn("a", 1_400), false);
  departures.return("a");
  assertEquals(departures.passesOn("a", 1_400), true);
  assertEquals(departures.takeExpired(9_999), []);
  departures.depart("a", 2_000);
  assertEquals([departures.takeExpired(2_599), departures.takeExpired(2_600)], [[], ["a"]]);
});

Deno.test("departures: the memory refuses state that ends at or below it, and every earlier incarnation (E11)", () => {
  const departures = new Departures(600, 10);
  departures.remember("a", { incarnation: LATE, number: 7 });
  assertEquals(departures.refuses("a", { incarnation: LATE, number: 6 }), true);
  assertEquals(departures.refuses("a", { incarnation: LATE, number: 7 }), true);
  assertEquals(departures.refuses("a", { incarnation: EARLY, number: 99 }), true);
  assertEquals(departures.refuses("b", { incarnation: EARLY, number: 1 }), false);
  assertEquals(departures.rememberedVersion("a"), { incarnation: LATE, number: 7 });
});

Deno.test("departures: accepts a higher number or a later incarnation, and keeps the memory until `forget` (E11)", () => {
  const departures = new Departures(600, 10);
  departures.remember("a", { incarnation: EARLY, number: 7 });
  assertEquals(departures.refuses("a", { incarnation: EARLY, number: 8 }), false);
  assertEquals(departures.refuses("a", { incarnation: LATE, number: 1 }), false);
  assertEquals(departures.refuses("a", { incarnation: EARLY, number: 7 }), true);
  departures.forget("a");
  assertEquals([
    departures.refuses("a", { incarnation: EARLY, number: 7 }),
    departures.rememberedVersion("a"),
  ], [
    false,
    undefined,
  ]);
});

Deno.test("departures: the number of memories is bounded: the oldest is removed (E11)", () => {
  const departures = new Departures(600, 2);
  departures.remember("a", { incarnation: EARLY, number: 1 });
  departures.remember("b", { incarnation: EARLY, number: 1 });
  departures.remember("a", { incarnation: EARLY, number: 2 });
  departures.remember("c", { incarnation: EARLY, number: 1 });
  const held = ["a", "b", "c"].filter((id) => departures.rememberedVersion(id));
  assertEquals([held, departures.remembered], [["a", "c"], 2]);
  departures.depart("d", 0);
  assertEquals([departures.gone, departures.remembered], [1, 2]);
});
