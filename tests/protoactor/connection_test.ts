import { assertEquals } from "../../deps/std_assert.ts";
import { makeIncarnation, NO_INCARNATION } from "../../engine/incarnation.ts";
import { type MemberDelta, TYPE } from "../../engine/types.ts";
import type { Member } from "../../contracts/cluster.ts";
import type { Message } from "../../protocol/message.ts";
import type { GossipState, Pid } from "../../protoactor/transport/definitions.ts";
import { GoConnection, type GoSide } from "../../protoactor/transport/go_connection.ts";
import { GoInbox } from "../../protoactor/transport/go_inbox.ts";
import type { MapSource } from "../../protoactor/transport/maps.ts";
import { deltaOf, stateOf } from "../../protoactor/transport/state.ts";

const OPTIONS = { cluster: "orders", maxMessageBytes: 65_536, decoders: {} };
const ASKER: Pid = { address: "127.0.0.1:1", id: "future$1" };

/** A member of protoactor that answers on a call of the test. */
class FakeSide implements GoSide {
  readonly member: Member = { id: "g", host: "127.0.0.1", port: 1, kinds: [] };
  readonly inbox = new GoInbox(65_536);
  isBlocking = false;
  readonly asked: GossipState[] = [];
  readonly answered: { readonly id: string; readonly refused: boolean }[] = [];
  ended = 0;
  readonly #waiting: ((state: GossipState | undefined) => void)[] = [];

  ask(state: GossipState, onAnswer: (state: GossipState | undefined) => void): void {
    this.asked.push(state);
    this.#waiting.push(onAnswer);
  }

  answer(askers: readonly Pid[], { refused }: { readonly refused: boolean }): void {
    for (const { id } of askers) this.answered.push({ id, refused });
  }

  over(): void {
    this.ended++;
  }

  /** Answers the oldest request. */
  answerNext(state?: GossipState): void {
    this.#waiting.shift()!(state);
  }

  /** Sends a key of its own, and waits for an answer. */
  send(key: string, number: number): void {
    const entry = { key, number, type: TYPE.value, value: number, json: `${number}` };
    const member: MemberDelta = {
      id: "g",
      incarnation: NO_INCARNATION,
      after: 0,
      reset: false,
      entries: [entry],
    };
    this.inbox.add({ members: [member], askers: [ASKER] });
  }
}

/** The gossiper's end of a connection to the member. */
function connect(theyDialed: boolean, maps?: MapSource) {
  const side = new FakeSide();
  const connection = new GoConnection(side, { theyDialed, ...OPTIONS, maps: () => maps });
  const reader = connection.readable.getReader();
  const writer = connection.writable.getWriter();
  const received: Message[] = [];
  void (async () => {
    for (let next = await reader.read(); !next.done; next = await reader.read()) received.push(next.value);
  })().catch(() => {});
  const send = async (message: Message) => {
    await writer.write(message);
    await settle();
  };
  return { side, connection, received, send };
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
}

function hello(id: string): Message {
  return {
    type: "hello",
    id,
    cluster: "orders",
    member: { id: "a", host: "127.0.0.1", port: 2, kinds: [] },
    incarnation: makeIncarnation(1, 0.5),
    count: 0,
    version: 1,
    oldestVersion: 2,
    capabilities: [],

    digest: "1".repeat(16),
    active: "1".repeat(16),
  };
}

function typesOf(received: readonly Message[]): string[] {
  return received.map((message) => `${message.type} ${"id" in message ? message.id : ""}`.trim());
}

function keysIn(message: Message | undefined): string[] {
  return message?.type === "gossip"
    ? message.delta.members.flatMap(({ entries }) => entries.map(({ key }) => key))
    : [];
}

Deno.test("Go connection: a handshake is answered in a Go member's name only after that member has answered (E10)", async () => {
  const { side, received, send } = connect(false);
  await send(hello("d1"));
  assertEquals(side.asked, [{ members: [] }]);
  assertEquals(received, []);
  side.answerNext();
  await settle();
  assertEquals(typesOf(received), ["hello d1"]);
  const [answer] = received;
  assertEquals(answer?.type === "hello" && [answer.incarnation, answer.member.id, answer.cluster], [
    NO_INCARNATION,
    "g",
    "orders",
  ]);
  await send(hello("d2"));
  assertEquals(typesOf(received), ["hello d1"]);
});

Deno.test("Go connection: gossip is acknowledged in a Go member's name only after that member has answered, however late (E5)", async () => {
  const { side, received, send } = connect(false);
  await send({ type: "gossip", liveness: { count: 0 }, id: "d2", memberId: "a", delta: deltaOf([]) });
  await send({ type: "gossip", liveness: { count: 0 }, id: "d3", memberId: "a", delta: deltaOf([]) });
  assertEquals(received, []);
  side.answerNext();
  await settle();
  assertEquals(typesOf(received), ["reply d2"]);
  side.answerNext();
  await settle();
  assertEquals(typesOf(received), ["reply d2", "reply d3"]);
});

Deno.test("Go connection: the handshake with a Go member that has blocked this member is refused as `blocked`, permanently (E10)", async () => {
  const { side, received, send } = connect(false);
  side.isBlocking = true;
  await send(hello("d1"));
  assertEquals(side.asked, []);
  assertEquals(received.map((each) => each.type === "error" && [each.id, each.code, each.reason]), [[
    "d1",
    "blocked",
    "topology",
  ]]);
});

Deno.test("Go connection: state of a Go member is delivered after the handshake, and answered after the merge", async () => {
  const { side, connection, received, send } = connect(true);
  side.send("x", 1);
  connection.deliver();
  await settle();
  assertEquals(typesOf(received), ["hello d1"]);
  await send(hello("d1"));
  assertEquals(typesOf(received), ["hello d1", "gossip d2"]);
  assertEquals(keysIn(received[1]), ["x"]);
  side.send("y", 2);
  connection.deliver();
  await settle();
  assertEquals(side.answered, []);
  await send({ type: "reply", liveness: { count: 0 }, id: "d2", delta: deltaOf([]), holds: new Map() });
  assertEquals(side.answered, [{ id: "future$1", refused: false }]);
  assertEquals(keysIn(received[2]), ["y"]);
});

Deno.test("Go connection: refused state is kept, because a Go member sends it only once, and its sender is answered at once", async () => {
  const { side, received, send } = connect(true);
  side.send("x", 1);
  await send(hello("d1"));
  await send({ type: "error", id: "d2", code: "unknown_member", message: "no" });
  assertEquals(side.answered, [{ id: "future$1", refused: true }]);
  assertEquals(side.inbox.take().members.flatMap(({ entries }) => entries.map(({ key }) => key)), ["x"]);
  assertEquals(typesOf(received), ["hello d1", "gossip d2"]);
});

Deno.test("Go connection: a Go member that is blocked as expired handshakes again, and its state is delivered again (E10)", async () => {
  const { side, received, send } = connect(true);
  side.send("x", 1);
  await send(hello("d1"));
  await send({ type: "error", id: "d2", code: "blocked", message: "no", reason: "expired" });
  assertEquals(typesOf(received), ["hello d1", "gossip d2", "hello d3"]);
  await send(hello("d3"));
  assertEquals(keysIn(received[3]), ["x"]);
  await send({ type: "reply", liveness: { count: 0 }, id: "d4", delta: deltaOf([]), holds: new Map() });
  assertEquals(side.answered, [{ id: "future$1", refused: false }]);
});

Deno.test("Go connection: state that was under way when a connection ended is kept for the next connection", async () => {
  const { side, connection, send } = connect(true);
  side.send("x", 1);
  await send(hello("d1"));
  connection.end({ code: 4409, reason: "another" });
  connection.end({ code: 1000, reason: "" });
  assertEquals(await connection.closed, { code: 4409, reason: "another" });
  assertEquals(side.ended, 1);
  assertEquals(side.inbox.take().askers, [ASKER]);
});

Deno.test("Go connection: a Go member compares nothing, and all its messages are partial (E12)", async () => {
  const { side, received, send } = connect(false);
  await send({ type: "reconcile", id: "d2", part: { from: "", until: undefined, members: new Map() } });
  assertEquals(received.map((each) => each.type === "error" && each.code), ["incompatible"]);
  await send({ type: "gossip", liveness: { count: 0 }, id: "d3", memberId: "a", delta: deltaOf([]) });
  side.answerNext();
  await settle();
  assertEquals(received[1]?.type === "reply" && received[1].delta.partial, true);
});

Deno.test("Go connection: state in an answer of a protoactor member is passed on to be merged", async () => {
  const { side, received, send } = connect(false);
  await send({ type: "gossip", liveness: { count: 0 }, id: "d2", memberId: "a", delta: deltaOf([]) });
  const value = { typeUrl: "type.googleapis.com/google.protobuf.Empty", value: new Uint8Array() };
  side.answerNext({
    members: [{ key: "g", value: { values: [{ key: "x", value: { sequenceNumber: 1, value } }] } }],
  });
  await settle();
  assertEquals(received[0]?.type === "reply" && received[0].delta.members.map(({ id }) => id), ["g"]);
});

Deno.test("Go connection: a push is sent as an ordinary request, and its answer has no state and acknowledges nothing", async () => {
  const { side, received, send } = connect(false);
  await send(hello("d1"));
  side.answerNext();
  await settle();
  const entry = { key: "k", number: 3, type: TYPE.value, value: 1, json: "1" };
  const member: MemberDelta = {
    id: "a",
    incarnation: makeIncarnation(1, 0.5),
    after: 2,
    reset: false,
    entries: [entry],
  };
  await send({ type: "push", delta: { members: [member] }, relay: true });
  assertEquals(side.asked.at(-1), stateOf({ members: [member] }));
  assertEquals(side.asked.at(-1)!.members.map(({ key }) => key), ["a"]);
  side.answerNext({ members: [] });
  await settle();
  assertEquals(typesOf(received), ["hello d1"]);
});

Deno.test("Go connection: a heartbeat message is not sent to a Go member, which reads heartbeats as entries", async () => {
  const { side, received, send } = connect(false);
  await send({ type: "heartbeat", liveness: { count: 7, vector: { stride: 1, counts: "abcdA" } } });
  assertEquals([side.asked, received], [[], []]);
});

Deno.test("Go connection: a map is sent whole with a round, before the request that acknowledges it, and not with a push", async () => {
  const incarnation = makeIncarnation(1_700_000_000_000, 0.5);
  const timestampMs = 1;
  const entry = { key: "stock␟tea", number: 1, type: TYPE.value, value: 3, json: "3", timestampMs };
  const { side, received, send } = connect(false, {
    stateOf: () => ({ number: 1, entries: [entry] }),
    onTooLarge: () => {},
  });
  const keysAsked = () =>
    side.asked.map(({ members }) => members.flatMap(({ value }) => value!.values.map(({ key }) => key)));
  const plain = { ...entry, key: "plain", number: 2 };
  const members = [{ id: "a", incarnation, after: 0, reset: false, entries: [entry, plain] }];
  await send({ type: "push", delta: { members: [{ ...members[0]!, entries: [entry] }] }, relay: true });
  assertEquals(side.asked, []);
  await send({ type: "push", delta: { members }, relay: true });
  assertEquals(keysAsked(), [["plain"]]);
  await send({ type: "gossip", liveness: { count: 0 }, id: "d2", memberId: "a", delta: deltaOf(members) });
  assertEquals(keysAsked(), [["plain"], ["stock"], ["plain"]]);
  side.answerNext();
  side.answerNext();
  await settle();
  assertEquals(received, []);
  side.answerNext();
  await settle();
  assertEquals(typesOf(received), ["reply d2"]);
});
