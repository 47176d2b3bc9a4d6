import { assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { fixedMembers } from "../../discovery/fixed.ts";
import { join } from "../../mod.ts";
import { broadcastEvent, type GoEvent, joinProtoactor, onBroadcastEvent } from "../../protoactor/join.ts";
import { type Call, grpcCalls } from "../../protoactor/transport/call.ts";
import { ANY, GOSSIP_RESPONSE, VALUE } from "../../protoactor/transport/definitions.ts";
import {
  connectRequestBytes,
  connectResponseBytes,
  type Letter,
  letterBytes,
  readLetters,
  readRemoteMessage,
} from "../../protoactor/transport/letters.ts";
import { eventually } from "../security/waits.ts";

const LIMITS = { maxBytes: 1024 * 1024 };
const CONFIG = { gossipInterval: 50, gossipRequestTimeout: 300, heartbeatExpiration: 5_000 };

/** A member, and a hand-written Go member that it knows under the id `go`. */
async function stage() {
  const received: Letter[] = [];
  let writer: WritableStreamDefaultWriter<Uint8Array> | undefined;
  const calls: Call[] = [];
  const onCall = async (call: Call) => {
    calls.push(call);
    const answering = call.writable.getWriter();
    for await (const bytes of call.readable) {
      const { connectRequest, messageBatch } = readRemoteMessage(bytes);
      if (connectRequest) await answering.write(connectResponseBytes("go"));
      for (const letter of messageBatch ? readLetters(messageBatch) : []) {
        received.push(letter);
        if (letter.sender) {
          const body = GOSSIP_RESPONSE.encode({});
          await writer?.write(letterBytes({ target: letter.sender, type: "cluster.GossipResponse", body }));
        }
      }
    }
  };
  const server = await grpcCalls.listen({
    ...LIMITS,
    hostname: "127.0.0.1",
    port: 0,
    onCall: (call) => void onCall(call).catch(() => {}),
  });
  const go = { id: "go", host: "127.0.0.1", port: server.port, kinds: [] };
  const discovery = fixedMembers([go]);
  const node = await joinProtoactor({ cluster: "orders", listen: { port: 0 }, discovery, config: CONFIG });
  const address = `${node.member.host}:${node.member.port}`;
  /** Opens a stream under an id, and returns a function that sends to the event stream over it. */
  const dialAs = async (systemId: string) => {
    const call = grpcCalls.open(address, LIMITS);
    calls.push(call);
    const own = call.writable.getWriter();
    await own.write(connectRequestBytes({ id: systemId, address: `127.0.0.1:${server.port}` }));
    if (systemId === "go") writer = own;
    return (type: string, body: Uint8Array) =>
      own.write(letterBytes({ target: { address, id: "eventstream" }, type, body }));
  };
  return {
    node,
    received,
    dialAs,
    [Symbol.asyncDispose]: async () => {
      await node[Symbol.asyncDispose]();
      for (const call of calls) call.cancel();
      await server.close();
    },
  };
}

function anyText(text: string): Uint8Array {
  const value = VALUE.encode({ stringValue: text });
  return ANY.encode({ typeUrl: "type.googleapis.com/google.protobuf.Value", value });
}

Deno.test("onBroadcastEvent: receives the events of active members, packed or not, and no events of other members (M2)", async () => {
  await using play = await stage();
  const heard: GoEvent[] = [];
  const handle = onBroadcastEvent(play.node, (event) => void heard.push(event));
  const [send, sendAsStranger] = [await play.dialAs("go"), await play.dialAs("stranger")];
  await sendAsStranger("google.protobuf.Any", anyText("of a stranger"));
  await send("google.protobuf.Any", anyText("packed"));
  await send("google.protobuf.Value", VALUE.encode({ numberValue: 7 }));
  await send("orders.Placed", new Uint8Array([8, 1]));
  await eventually(() => heard.length === 3);
  assertEquals(heard, [
    { memberId: "go", type: "google.protobuf.Value", value: "packed" },
    { memberId: "go", type: "google.protobuf.Value", value: 7 },
    {
      memberId: "go",
      type: "orders.Placed",
      value: { typeUrl: "type.googleapis.com/orders.Placed", bytes: "CAE=" },
    },
  ]);
  handle[Symbol.dispose]();
  await send("google.protobuf.Any", anyText("after the end"));
  const second: GoEvent[] = [];
  await send("google.protobuf.Any", anyText("unheard"));
  await new Promise((resolve) => setTimeout(resolve, 100));
  onBroadcastEvent(play.node, (event) => void second.push(event));
  await send("google.protobuf.Any", anyText("again"));
  await eventually(() => second.length === 1);
  assertEquals([heard.length, second[0]!.value], [3, "again"]);
});

Deno.test("broadcastEvent: sends a value in an Any to the event stream of each Go member once, and reports members without a stream (M1)", async () => {
  await using play = await stage();
  const events = () => play.received.filter(({ target }) => target.id === "eventstream");
  const early = broadcastEvent(play.node, "early");
  assertEquals(early, { sent: [], skipped: [{ memberId: "go", reason: "disconnected" }] });
  await play.dialAs("go");
  await eventually(() => broadcastEvent(play.node, { sku: 7 }).sent[0] === "go");
  await eventually(() => events().length > 0);
  const [{ type, body, sender }] = events() as [Letter];
  assertEquals([type, sender], ["google.protobuf.Any", undefined]);
  assertEquals(ANY.decode(body).typeUrl, "type.googleapis.com/google.protobuf.Value");
  await new Promise((resolve) => setTimeout(resolve, 100));
  assertEquals(events().length, 1);
});

Deno.test("broadcastEvent: refuses an invalid event, and members without protoactor (M4)", async () => {
  await using play = await stage();
  const { node } = play;
  const codeOf = (action: () => unknown) => assertThrows(action, HearsayError).code;
  assertEquals(codeOf(() => broadcastEvent(node, undefined)), "invalid_value");
  assertThrows(() => broadcastEvent(node, NaN), HearsayError, "got the number NaN. Nothing was sent.");
  assertEquals(codeOf(() => broadcastEvent(node, "x".repeat(65_536))), "too_large");
  for (let count = 0; count < 64; count++) onBroadcastEvent(node, () => {});
  assertEquals(codeOf(() => onBroadcastEvent(node, () => {})), "busy");
  assertThrows(() => onBroadcastEvent(node, 5 as never), ConfigurationError, "callback");
  await using other = await join({ cluster: "orders", listen: { port: 0 } });
  assertEquals(codeOf(() => broadcastEvent(other, 1)), "invalid_configuration");
  assertEquals(codeOf(() => onBroadcastEvent(other, () => {})), "invalid_configuration");
  await node[Symbol.asyncDispose]();
  assertEquals(codeOf(() => broadcastEvent(node, 1)), "stopped");
  assertEquals(codeOf(() => onBroadcastEvent(node, () => {})), "stopped");
});
