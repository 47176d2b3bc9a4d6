import { assert, assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { BroadcastChannel } from "../../messages/broadcast_channel.ts";
import { talking } from "./cluster.ts";

Deno.test("BroadcastChannel: all other channels of the same name receive a message, in this process and in others (M1)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  const open = (id: string, name: string) => new BroadcastChannel(name, { node: cluster.of(id).gossiper });
  const heard: unknown[] = [];
  const channels = [open("a", "n"), open("a", "n"), open("b", "n"), open("b", "m")];
  for (const [index, channel] of channels.entries()) {
    channel.addEventListener("message", (event) => {
      assert(event instanceof MessageEvent);
      heard.push([index, event.data, event.origin]);
    });
  }
  channels[0]!.postMessage({ n: 1 });
  await cluster.advance(100);
  assertEquals(heard, [[1, { n: 1 }, "a"], [2, { n: 1 }, "a"]]);
  assertEquals(of("a").dropped, 0);
});

Deno.test("BroadcastChannel: has the handlers of the Web, and a closed channel neither sends nor receives (M1)", async () => {
  const { cluster } = await talking(["a", "b"]);
  await using _ = cluster;
  const open = (id: string) => new BroadcastChannel("n", { node: cluster.of(id).gossiper });
  const [one, two] = [open("a"), open("b")];
  const heard: unknown[] = [];
  assertEquals([one.name, two.onmessage], ["n", null]);
  two.onmessage = ({ data }) => heard.push(["first", data]);
  two.onmessage = function ({ data }) {
    heard.push([this === two, data]);
  };
  one.postMessage(1);
  await cluster.advance(50);
  assertEquals(typeof two.onmessage, "function");
  two.onmessageerror = () => {};
  assertEquals([typeof two.onmessageerror, one.onmessageerror], ["function", null]);
  two.onmessage = null;
  one.postMessage(2);
  await cluster.advance(50);
  two.onmessage = ({ data }) => heard.push(data);
  two.close();
  two.close();
  one.postMessage(3);
  await cluster.advance(50);
  assertEquals(heard, [[true, 1]]);
  const [third, fourth] = [open("a"), open("a")];
  fourth.onmessage = ({ data }) => heard.push(["fourth", data]);
  third.close();
  one.postMessage(4);
  await cluster.advance(50);
  assertEquals(heard.splice(1), [["fourth", 4]]);
  const error = assertThrows(() => two.postMessage(1), DOMException);
  assertEquals(error.name, "InvalidStateError");
  const other = open("b");
  await cluster.stop("b");
  assertEquals(assertThrows(() => other.postMessage(1), DOMException).name, "InvalidStateError");
  assertThrows(() => open("b"), HearsayError, "stopped");
});

Deno.test("BroadcastChannel: throws a DataCloneError for a value that JSON cannot carry, and names an invalid option (M4)", async () => {
  const { cluster } = await talking(["a", "b"]);
  await using _ = cluster;
  const node = cluster.of("a").gossiper;
  using channel = new BroadcastChannel("n", { node });
  for (const value of [undefined, new Map(), () => {}, { at: new Date(0) }, 1n, NaN]) {
    assertEquals(assertThrows(() => channel.postMessage(value), DOMException).name, "DataCloneError");
  }
  assertThrows(() => new BroadcastChannel("", { node }), HearsayError, "topic");
  assertThrows(() => new BroadcastChannel("x".repeat(239), { node }), HearsayError, "topic");
  assertThrows(() => new BroadcastChannel("n", {} as never), ConfigurationError, "node");
  assertThrows(() => new BroadcastChannel("n", { node, nod: 1 } as never), ConfigurationError, "nod");
});

Deno.test("BroadcastChannel: throws a DataCloneError for a message that is too large, and no channel receives it (M4)", async () => {
  const { cluster } = await talking(["a", "b"]);
  await using _ = cluster;
  const open = (id: string) => new BroadcastChannel("n", { node: cluster.of(id).gossiper });
  const [sender, local, remote] = [open("a"), open("a"), open("b")];
  const heard: unknown[] = [];
  for (const channel of [local, remote]) channel.onmessage = ({ data }) => heard.push(data.length);
  const most = 65_536 - 128 - '"topic":"broadcast-channel:n","payload":""}'.length;
  const error = assertThrows(
    () => sender.postMessage("x".repeat(most + 1)),
    DOMException,
    "at most 65408 bytes",
  );
  assertEquals(error.name, "DataCloneError");
  await cluster.advance(100);
  assertEquals(heard, []);
  sender.postMessage("x".repeat(most));
  await cluster.advance(100);
  assertEquals(heard, [most, most]);
});

Deno.test("BroadcastChannel: the end of a block with `using` closes the channel", async () => {
  const { cluster } = await talking(["a", "b"]);
  await using _ = cluster;
  let channel: BroadcastChannel;
  {
    using inBlock = new BroadcastChannel("n", { node: cluster.of("a").gossiper });
    channel = inBlock;
    channel.postMessage(1);
  }
  assertThrows(() => channel.postMessage(2), DOMException, "closed");
});
