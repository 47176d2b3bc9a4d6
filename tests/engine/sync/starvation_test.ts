import { assertEquals, assertLessOrEqual } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { entryBytes, ENVELOPE_BYTES, memberBytes } from "../../../engine/state/size.ts";
import { entry, exchange, heartbeat, set, TestClock } from "../harness.ts";
import { bytesOf, Owners, pairAmong } from "../many_members.ts";

/** For each member, the longest time in rounds that a peer waited for a change of that member. */
function longestWaits(
  a: Engine,
  b: Engine,
  options: {
    readonly clock: TestClock;
    readonly rounds: number;
    readonly change: (round: number) => void;
    readonly lose?: (round: number) => boolean;
  },
): Map<string, number> {
  const { clock, rounds, change, lose = () => false } = options;
  const held = new Map<string, number>();
  const since = new Map<string, number>();
  const longest = new Map<string, number>();
  for (let round = 0; round < rounds; round++) {
    change(round);
    exchange(a, b, { clock, ...(lose(round) && { lose: "reply" as const }) });
    clock.advance(300);
    for (const id of a.view.memberIds()) {
      const number = b.view.versionOf(id)?.number ?? 0;
      const isNew = number > (held.get(id) ?? 0);
      if (isNew) held.set(id, number);
      since.set(id, isNew ? 0 : (since.get(id) ?? 0) + 1);
      longest.set(id, Math.max(longest.get(id) ?? 0, since.get(id)!));
    }
  }
  return longest;
}

Deno.test("starvation: no member starves if everything changes all the time, with any gossipMaxSend (E7)", () => {
  // In rounds: by the quarter of the slots of 1 (every other round), 2, 3 and 5, and one to spare.
  for (const [gossipMaxSend, bound] of [[1, 80], [2, 41], [3, 41], [5, 21]] as const) {
    const clock = new TestClock();
    const { a, b, others } = pairAmong(40, clock, { gossipMaxSend });
    const owners = new Owners(clock);
    const longest = longestWaits(a, b, {
      clock,
      rounds: 4 * bound,
      change: (round) => {
        set(a, "own", round, clock);
        owners.change(a, others);
      },
    });
    assertEquals(longest.size, 41);
    for (const [id, wait] of longest) {
      assertLessOrEqual(wait, id === "a" ? 2 : bound, `${id}, ${gossipMaxSend}`);
    }
  }
});

Deno.test("starvation: statistics and other changes do not starve each other (E7)", () => {
  for (const [gossipMaxSend, bound] of [[1, 80], [3, 40], [8, 20]] as const) {
    const clock = new TestClock();
    const { a, b, others } = pairAmong(40, clock, { gossipMaxSend });
    const [beats, changes] = [new Owners(clock, heartbeat), new Owners(clock)];
    const longest = longestWaits(a, b, {
      clock,
      rounds: 4 * bound,
      change: (round) => {
        set(a, "own", round, clock);
        changes.change(a, others.slice(0, 20));
        beats.change(a, others.slice(20));
      },
    });
    for (const [id, wait] of longest) assertLessOrEqual(wait, bound, `${id}, ${gossipMaxSend}`);
  }
});

Deno.test("starvation: state that had no room is sent in later messages, even if nothing changes any more (E7)", () => {
  for (const makeEntry of [heartbeat, (number: number) => entry("k", number, 1)]) {
    const clock = new TestClock();
    const { a, b, others } = pairAmong(20, clock, { gossipMaxSend: 4 });
    new Owners(clock, makeEntry).change(a, others);
    const counts: number[] = [];
    for (let round = 0; round < 7; round++) counts.push(exchange(a, b, { clock }).request.members.length);
    assertEquals([counts, others.filter((id) => b.view.versionOf(id)?.number !== 1)], [
      [4, 4, 4, 4, 4, 0, 0],
      [],
    ]);
  }
});

Deno.test("starvation: no member starves if every other reply is lost (E7)", () => {
  const clock = new TestClock();
  const { a, b, others } = pairAmong(40, clock, { gossipMaxSend: 3 });
  const owners = new Owners(clock);
  const longest = longestWaits(a, b, {
    clock,
    rounds: 200,
    lose: (round) => round % 2 === 0,
    change: (round) => {
      set(a, "own", round, clock);
      owners.change(a, others);
    },
  });
  for (const [id, wait] of longest) assertLessOrEqual(wait, 82, id);
});

Deno.test("starvation: no member starves if each takes nearly half of a message, and no message is too large (E7)", () => {
  const clock = new TestClock();
  const maxMessageBytes = 32_768;
  const { a, b, others } = pairAmong(40, clock, { maxMessageBytes });
  const half = maxMessageBytes / 2 - ENVELOPE_BYTES;
  const text = "x".repeat(half - entryBytes(entry("k", 1, "")) - memberBytes("m10"));
  const owners = new Owners(clock, (number) => entry("k", number, text));
  const room = maxMessageBytes - ENVELOPE_BYTES;
  const longest = longestWaits(a, b, {
    clock,
    rounds: 90,
    change: () => {
      set(a, "k", text, clock);
      owners.change(a, others);
      const { delta } = a.disseminate("b");
      assertLessOrEqual(bytesOf(delta), room);
      assertEquals(delta.members.length, 2);
    },
  });
  for (const [id, wait] of longest) assertLessOrEqual(wait, id === "a" ? 1 : 42, id);
});

Deno.test("starvation: a member that is too large to fit beside own state is sent alone, and does not starve (E7)", () => {
  const clock = new TestClock();
  // Tombstones that its owner has forgotten can make the state larger than half at another member.
  const { a, b, others } = pairAmong(5, clock, { maxMessageBytes: 32_768 });
  const large = new Owners(clock, (number) => entry("k", number, "x".repeat(20_000)));
  const small = new Owners(clock, (number) => entry("k", number, "x".repeat(9_000)));
  const longest = longestWaits(a, b, {
    clock,
    rounds: 60,
    change: () => {
      set(a, "k", "x".repeat(9_000), clock);
      small.change(a, others.slice(1));
      large.change(a, ["m0"]);
    },
  });
  assertEquals(longest.size, 6);
  for (const [id, wait] of longest) assertLessOrEqual(wait, id === "a" ? 2 : 8, id);
});
