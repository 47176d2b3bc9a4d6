import { assert, assertEquals } from "../../deps/std_assert.ts";
import { areSameMembers, MemberList } from "../../discovery/member_list.ts";
import type { ClusterTopology, Member } from "../../contracts/cluster.ts";
import { EventStream } from "../../contracts/event_stream.ts";

const SELF: Member = { id: "self", host: "127.0.0.1", port: 1, kinds: [] };

/** A list, and what it publishes. */
function listed() {
  const published: ClusterTopology[] = [];
  const eventStream = new EventStream();
  const { publish } = eventStream;
  eventStream.publish = (event) => {
    if (event.type === "ClusterTopology") published.push(event);
    publish.call(eventStream, event);
  };
  return { list: new MemberList({ self: SELF, eventStream }), published };
}

Deno.test("MemberList: publishes a list that differs in any field, and no equal list twice", () => {
  const { list, published } = listed();
  const record: Member = { id: "a", host: "h", port: 1, kinds: ["k"] };
  const others: readonly Member[] = [
    { ...record, host: "i" },
    { ...record, port: 2 },
    { ...record, kinds: ["j"] },
    { ...record, kinds: ["k", "j"] },
    { ...record, url: "ws://h/a" },
    { ...record, id: "b" },
  ];
  for (const other of others) {
    published.length = 0;
    for (const each of [record, structuredClone(record), other, structuredClone(other)]) list.publish([each]);
    assertEquals(published.map(({ members }) => members[0]), [record, other], JSON.stringify(other));
  }
});

Deno.test("MemberList: members with the greatest number of kinds are compared without one text of all of them", () => {
  // Together 540 MB: more than a text can have.
  const kinds = Array.from({ length: 64 }, (_, index) => `${index}`.padEnd(256, "k"));
  const members = Array.from(
    { length: 33_000 },
    (_, index) => ({ id: `m${index}`, host: "h", port: 1, kinds }),
  );
  const { list, published } = listed();
  list.publish(members);
  list.publish(members);
  assertEquals(published.length, 1);
  assert(areSameMembers(members, members.map((member) => ({ ...member, kinds: [...kinds] }))));
});
