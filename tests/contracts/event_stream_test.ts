import {
  assertEquals,
  assertLess,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../../deps/std_assert.ts";
import type { ClusterTopology } from "../../contracts/cluster.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import type { JsonValue } from "../../engine/types.ts";
import {
  EventStream,
  type EventType,
  type HearsayEvent,
  MAX_BUFFERED_BYTES,
} from "../../contracts/event_stream.ts";

function topology(...ids: string[]): ClusterTopology {
  const members = ids.map((id) => ({ id, host: "127.0.0.1", port: 1, kinds: [] }));
  return { type: "ClusterTopology", members, blocked: [] };
}

function forgotten(memberId: string | number): HearsayEvent {
  return { type: "MemberForgotten", memberId: `${memberId}` };
}

function blocked(memberId: string): HearsayEvent {
  return { type: "MemberBlocked", memberId, reason: "left" };
}

/** The event in one word, enough to compare lists of them. */
function name(event: HearsayEvent): string {
  if (event.type === "ClusterTopology") return event.members.map(({ id }) => id).join("+");
  if (event.type === "EventsDropped") return `dropped ${event.count}`;
  return "memberId" in event ? event.memberId : event.type;
}

async function names(stream: ReadableStream<HearsayEvent>): Promise<string[]> {
  const all: string[] = [];
  for await (const event of stream) all.push(name(event));
  return all;
}

Deno.test("event stream: every subscriber gets the events of its types, in order (R3.4)", async () => {
  const events = new EventStream();
  const one = events.subscribe("MemberBlocked");
  const two = events.subscribe(["MemberBlocked", "MemberForgotten", "MemberBlocked"]);
  const all = events.subscribe();
  const none = events.subscribe([]);
  events.publish(forgotten("a"));
  events.publish(blocked("b"));
  events.publish({ type: "MemberUnblocked", memberId: "c" });
  events.publish(blocked("d"));
  events.close();
  assertEquals(await names(one), ["b", "d"]);
  assertEquals(await names(two), ["a", "b", "d"]);
  assertEquals(await names(all), ["a", "b", "c", "d"]);
  assertEquals(await names(none), []);
});

Deno.test("event stream: a waiting reader gets an event as soon as it is published (R3.4)", async () => {
  const events = new EventStream();
  const reader = events.subscribe().getReader();
  const first = reader.read();
  const second = reader.read();
  await turn();
  events.publish(blocked("a"));
  assertEquals((await first).value, blocked("a"));
  await turn();
  events.publish(blocked("b"));
  assertEquals((await second).value, blocked("b"));
  const third = reader.read();
  events.close();
  assertEquals((await third).done, true);
});

Deno.test("event stream: a slow subscriber loses the oldest events and gets their number before the next", async () => {
  const events = new EventStream({ capacity: 3 });
  const slow = events.subscribe(["MemberForgotten", "EventsDropped"]);
  const roomy = events.subscribe(["MemberForgotten", "EventsDropped"], { capacity: 100 });
  for (let n = 1; n <= 10; n++) events.publish(forgotten(n));
  const reader = slow.getReader();
  assertEquals((await reader.read()).value, { type: "EventsDropped", count: 7 });
  assertEquals((await reader.read()).value, forgotten(8));
  for (let n = 11; n <= 13; n++) events.publish(forgotten(n));
  reader.releaseLock();
  events.close();
  assertEquals(await names(slow), ["dropped 2", "11", "12", "13"]);
  assertEquals(await names(roomy), ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13"]);
});

Deno.test("event stream: a subscription to one type yields only that type, also after drops", async () => {
  const events = new EventStream({ capacity: 3 });
  const slow = events.subscribe("MemberForgotten");
  for (let n = 1; n <= 10; n++) events.publish(forgotten(n));
  events.close();
  assertEquals(await names(slow), ["8", "9", "10"]);
});

Deno.test("event stream: a slow subscriber never loses the latest topology (R7.1)", async () => {
  for (const capacity of [1, 2, 3, 7, 8, 9]) {
    const events = new EventStream({ capacity });
    const slow = events.subscribe();
    events.publish(topology("a"));
    events.publish(topology("a", "b"));
    for (let n = 1; n <= 50; n++) events.publish(forgotten(n));
    events.close();
    const rest = Array.from({ length: capacity - 1 }, (_, n) => `${52 - capacity + n}`);
    assertEquals(await names(slow), [`dropped ${52 - capacity}`, "a+b", ...rest]);
  }
});

Deno.test("event stream: a topology that is no longer the latest is dropped like any other event (R7.1)", async () => {
  const events = new EventStream({ capacity: 2 });
  const slow = events.subscribe();
  events.publish(topology("a"));
  for (let n = 1; n <= 5; n++) events.publish(forgotten(n));
  events.publish(topology("a", "b"));
  events.publish(forgotten(6));
  events.publish(forgotten(7));
  events.close();
  assertEquals(await names(slow), ["dropped 7", "a+b", "7"]);
});

Deno.test("event stream: a topology that is published twice is kept once it is the oldest event (R7.1)", async () => {
  const events = new EventStream({ capacity: 2 });
  const slow = events.subscribe();
  const same = topology("a");
  for (const event of [same, same, forgotten(1), forgotten(2)]) events.publish(event);
  events.close();
  assertEquals(await names(slow), ["dropped 2", "a", "2"]);
});

Deno.test("event stream: a late subscriber gets the latest topology first (R7.1)", async () => {
  const events = new EventStream();
  events.publish(topology("a"));
  events.publish(topology("a", "b"));
  const asked = events.subscribe(["ClusterTopology", "MemberBlocked"]);
  const all = events.subscribe();
  const other = events.subscribe("MemberBlocked");
  events.publish(blocked("b"));
  events.close();
  assertEquals(await names(asked), ["a+b", "b"]);
  assertEquals(await names(all), ["a+b", "b"]);
  assertEquals(await names(other), ["b"]);
});

Deno.test("event stream: an abort of the signal ends a stream without an error and drops its buffer (R9.4)", async () => {
  const events = new EventStream();
  const { signal, abort } = abortable();
  const buffered = events.subscribe("MemberBlocked", { signal });
  const waiting = names(events.subscribe("MemberForgotten", { signal }));
  events.publish(blocked("a"));
  await turn();
  abort();
  events.publish(blocked("b"));
  events.publish(forgotten("b"));
  assertEquals(await names(buffered), []);
  assertEquals(await waiting, []);
  assertEquals(await names(events.subscribe("MemberBlocked", { signal })), []);
  events.close();
});

Deno.test("event stream: a canceled stream is unsubscribed, and does not affect the others (R9.4)", async () => {
  const events = new EventStream();
  const { signal, listeners } = abortable();
  const canceled = events.subscribe("MemberBlocked", { signal });
  const other = events.subscribe("MemberBlocked");
  assertEquals(listeners(), 1);
  events.publish(blocked("a"));
  await canceled.cancel();
  assertEquals(listeners(), 0);
  events.publish(blocked("b"));
  for await (const event of other) {
    assertEquals(event, blocked("a"));
    break; // A break from the loop cancels the stream, too.
  }
  events.publish(blocked("c"));
  const reader = events.subscribe("MemberBlocked").getReader();
  const read = reader.read();
  await turn();
  await reader.cancel();
  events.publish(blocked("d"));
  assertEquals((await read).done, true);
  assertEquals(await names(canceled), []);
  assertEquals(await names(other), []);
  events.close();
});

Deno.test("event stream: close ends every stream after its buffer, and later events are ignored (R9.4)", async () => {
  const events = new EventStream();
  const { signal, listeners } = abortable();
  const early = events.subscribe(["MemberBlocked", "MemberForgotten"], { signal });
  events.publish(blocked("a"));
  events.close();
  events.close();
  events.publish(blocked("b"));
  assertEquals(await names(early), ["a"]);
  assertEquals(listeners(), 0);
  assertEquals(await names(events.subscribe()), []);
});

Deno.test("event stream: events that a reader leaves when it releases its lock go to the next reader (R3.4)", async () => {
  const events = new EventStream();
  const stream = events.subscribe();
  const reader = stream.getReader();
  const read = reader.read();
  reader.releaseLock();
  await assertRejects(() => read, TypeError);
  for (let n = 1; n <= 3; n++) events.publish(forgotten(n));
  events.close();
  assertEquals(await names(stream), ["1", "2", "3"]);
});

Deno.test("event stream: a publish to a full buffer costs the same at any capacity", () => {
  // With an array that is shifted, a buffer 64 times as large costs 64 times as much.
  const time = (capacity: number) => {
    const events = new EventStream({ capacity });
    events.subscribe();
    for (let n = 0; n < capacity; n++) events.publish(forgotten(n));
    const start = performance.now();
    for (let n = 0; n < 100_000; n++) events.publish(forgotten(0));
    return performance.now() - start;
  };
  const least = (capacity: number) => Math.min(...Array.from({ length: 5 }, () => time(capacity)));
  least(10);
  assertLess(least(128 * 1024), 20 * least(2048) + 20);
});

function update(value: JsonValue): HearsayEvent {
  return { type: "GossipUpdate", memberId: "m", key: "k", value, sequenceNumber: 1, deleted: false };
}

Deno.test("event stream: a burst of updates drops updates, never membership events", async () => {
  const events = new EventStream({ capacity: 5 });
  const slow = events.subscribe();
  events.publish(update(1));
  events.publish(blocked("a"));
  for (let n = 0; n < 50; n++) events.publish(update(n));
  events.publish({ type: "MemberUnblocked", memberId: "b" });
  events.close();
  assertEquals(await names(slow), ["dropped 48", "a", "m", "m", "m", "b"]);
});

Deno.test("event stream: the oldest events are dropped if the buffer has membership events alone", async () => {
  const events = new EventStream({ capacity: 2 });
  const slow = events.subscribe();
  for (const id of ["a", "b", "c"]) events.publish(blocked(id));
  events.publish(update(1));
  events.close();
  assertEquals(await names(slow), ["dropped 2", "b", "c"]);
});

Deno.test("event stream: the unread events of a slow subscriber are bounded in bytes and in number", async () => {
  // Nested empty arrays take far more memory than their text.
  const values: readonly [JsonValue, number][] = [
    ["x".repeat(1_048_576), 1_048_576],
    [Array.from({ length: 30_000 }, () => []), 30_000 * 16],
    [Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`name ${n}`, {}])), 10_000 * 16],
  ];
  for (const [value, bytes] of values) {
    const events = new EventStream();
    const slow = events.subscribe("GossipUpdate");
    for (let n = 0; n < 150; n++) events.publish(update(value));
    events.close();
    const got = await names(slow);
    assertEquals(got.length > 3, true);
    assertLess(got.length * bytes, MAX_BUFFERED_BYTES + 2 * bytes);
  }
});

Deno.test("event stream: an event larger than the whole buffer is delivered to a reading subscriber (R3.4)", async () => {
  const events = new EventStream();
  const slow = events.subscribe();
  events.publish(blocked("a"));
  events.publish(update("x".repeat(MAX_BUFFERED_BYTES)));
  const reader = slow.getReader();
  assertEquals((await reader.read()).value, { type: "EventsDropped", count: 1 });
  assertEquals((await reader.read()).value, blocked("a"));
  events.publish(update("x".repeat(MAX_BUFFERED_BYTES)));
  assertEquals((await reader.read()).value?.type, "GossipUpdate");
  events.close();
  await reader.cancel();
});

Deno.test("event stream: refuses a capacity that is not an integer of at least 1 (R12.3)", () => {
  for (const capacity of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(() => new EventStream({ capacity }), ConfigurationError, `got ${capacity}`);
    assertThrows(
      () => new EventStream().subscribe("MemberBlocked", { capacity }),
      ConfigurationError,
      `got ${capacity}`,
    );
  }
});

Deno.test("event stream: refuses a subscription to unknown types, with the list of the known types (R12.3)", () => {
  const events = new EventStream();
  const refused = (types: unknown) => {
    const error = assertThrows(() => events.subscribe(types as EventType), ConfigurationError);
    return error.problems.map(({ field, problem, given }) => `${field} ${problem}: given ${given}`);
  };
  assertEquals(refused("MemberBloked"), [
    'types must name an event (did you mean MemberBlocked?): given "MemberBloked"',
  ]);
  assertEquals(refused(["SeedFailed", "toString", 5]), [
    'types[1] must name an event: given "toString"',
    "types[2] must name an event: given 5",
  ]);
  assertEquals(refused({ capacity: 5 }), ["types must name an event: given an object"]);
  const { message, problems } = assertThrows(() => events.subscribe("typo" as EventType), ConfigurationError);
  assertStringIncludes(message, "The call has a problem; nothing was changed.");
  assertStringIncludes(problems[0]!.allowed, "MemberBlocked, MemberFailed");
  const signal = 5 as unknown as AbortSignal;
  assertThrows(
    () => events.subscribe("SeedFailed", { signal }),
    ConfigurationError,
    "`signal` must be an AbortSignal",
  );
});

/** Waits until the streams have run all pending work. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** A signal that counts its listeners. */
function abortable(): { signal: AbortSignal; abort: () => void; listeners: () => number } {
  const controller = new AbortController();
  const { signal } = controller;
  let count = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (count++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (count--, remove(...args));
  return { signal, abort: () => controller.abort(), listeners: () => count };
}

Deno.test("event stream: accepts an error that contains itself, that throws when it is read, or that has no text", async () => {
  const cyclic = Object.assign(new Error("Cyclic."), { request: {} as object });
  Object.assign(cyclic.request, { error: cyclic, again: cyclic.request });
  const throwing = Object.defineProperty({}, "field", {
    enumerable: true,
    get: () => {
      throw new Error("Never.");
    },
  });
  const nameless = Object.defineProperty(new Error("x"), "message", {
    get: () => {
      throw new Error("Never.");
    },
  });
  for (const error of [cyclic, throwing, Object.create(null), nameless, null]) {
    const events = new EventStream();
    const reader = events.subscribe(["CallbackFailed", "DiscoveryFailed"]).getReader();
    events.publish({ type: "CallbackFailed", where: "onReached", error });
    events.publish({ type: "DiscoveryFailed", source: "mine", error });
    assertEquals((await reader.read()).value?.type, "CallbackFailed");
    assertEquals((await reader.read()).value?.type, "DiscoveryFailed");
  }
});

Deno.test("EventStream: a later subscriber gets `Alone` and `Isolated` first, until they are over", async () => {
  const events = new EventStream();
  const present = async () => {
    const read = events.subscribe(["Alone", "Isolated"]).getReader();
    const next = () =>
      Promise.race([
        read.read(),
        new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 0)),
      ]);
    const types: (string | undefined)[] = [];
    for (let each = await next(); each; each = await next()) types.push(each.value?.type);
    await read.cancel();
    return types;
  };
  assertEquals(await present(), []);
  events.publish({ type: "Alone", seeds: [] });
  events.publish({ type: "Isolated" });
  events.publish({ type: "Isolated" });
  assertEquals(await present(), ["Alone", "Isolated"]);
  events.publish({ type: "MemberJoined", memberId: "b" });
  assertEquals(await present(), ["Isolated"]);
  events.publish({ type: "Rejoined" });
  assertEquals(await present(), []);
});
