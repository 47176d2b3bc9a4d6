import { assertEquals, assertRejects } from "../../deps/std_assert.ts";
import type { Connection } from "../../contracts/cluster.ts";
import type { Message } from "../../protocol/message.ts";
import {
  DEAD_LETTER_RESPONSE,
  GOSSIP_REQUEST,
  REMOTE_MESSAGE,
  type RemoteMessage,
} from "../../protoactor/transport/definitions.ts";
import {
  connectRequestBytes,
  connectResponseBytes,
  type Letter,
  letterBytes,
  MAX_LETTERS,
  readLetters,
  readRemoteMessage,
} from "../../protoactor/transport/letters.ts";
import type { Call } from "../../protoactor/transport/call.ts";
import { MAX_IDLE_LINKS, MAX_STREAMS, ProtoactorTransport } from "../../protoactor/transport/transport.ts";
import { CallNetwork } from "../simulation/protoactor/call_network.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";

/** A transport, and a hand-written protoactor remoting at another address. */
async function makeStage() {
  const runtime = new VirtualRuntime();
  const network = new CallNetwork(runtime);
  const [here, there] = [network.nextAddress(), network.nextAddress()];
  const transport = await ProtoactorTransport.listenBy(network.of(here), {
    id: "a",
    cluster: "orders",
    port: Number(here.split(":")[1]),
    maxMessageBytes: 65_536,
    runtime,
  });
  const connections: Connection[] = [];
  void (async () => {
    for await (const connection of transport.incoming) connections.push(connection);
  })();
  const received: Letter[] = [];
  /** Answers calls under an id. */
  const answerAs = async (id: string) => {
    const onCall = async (call: Call) => {
      const writer = call.writable.getWriter();
      for await (const bytes of call.readable) {
        const { connectRequest, messageBatch } = readRemoteMessage(bytes);
        if (connectRequest) await writer.write(connectResponseBytes(id));
        if (messageBatch) received.push(...readLetters(messageBatch));
      }
    };
    const options = {
      hostname: "",
      port: 0,
      maxBytes: 0,
      onCall: (call: Call) => void onCall(call).catch(() => {}),
    };
    await network.of(there).listen(options);
  };
  const call = network.of(there).open(here, { maxBytes: 0 });
  const writer = call.writable.getWriter();
  const answers: RemoteMessage[] = [];
  void (async () => {
    for await (const bytes of call.readable) answers.push(readRemoteMessage(bytes));
  })().catch(() => {});
  const send = async (bytes: Uint8Array) => {
    await writer.write(bytes);
    await runtime.advance(100);
  };
  const close = async () => {
    const closing = transport.close();
    await runtime.advance(2_000);
    await closing;
  };
  return { runtime, network, here, there, transport, connections, received, answerAs, send, answers, close };
}

function request(here: string, there: string): Uint8Array {
  return letterBytes({
    target: { address: here, id: "gossip" },
    sender: { address: there, id: "future$1" },
    type: "cluster.GossipRequest",
    body: GOSSIP_REQUEST.encode({ memberId: "a", state: { members: [] } }),
  });
}

Deno.test("inbound stream: a member that connects is answered, dialed back, and passed to the gossiper", async () => {
  const { here, there, connections, answerAs, send, answers, close } = await makeStage();
  await answerAs("g");
  await send(connectRequestBytes({ id: "g", address: there }));
  assertEquals(answers.map(({ connectResponse }) => connectResponse?.memberId), ["a"]);
  await send(request(here, there));
  assertEquals(connections.length, 1);
  assertEquals(connections[0]!.remote, `protoactor://${there}`);
  await close();
});

Deno.test("inbound stream: state of a sender is ignored if another member answers at its address", async () => {
  const { here, there, connections, answerAs, send, close } = await makeStage();
  await answerAs("somebody else");
  await send(connectRequestBytes({ id: "g", address: there }));
  await send(request(here, there));
  assertEquals(connections, []);
  await close();
});

Deno.test("inbound stream: state of a sender that cannot be dialed back is ignored", async () => {
  const { here, there, connections, send, close } = await makeStage();
  await send(connectRequestBytes({ id: "g", address: there }));
  await send(request(here, there));
  assertEquals(connections, []);
  await close();
});

Deno.test("inbound stream: a stream without an identification in time is closed", async () => {
  const { runtime, here, there, connections, answerAs, send, close } = await makeStage();
  await answerAs("g");
  await runtime.advance(600);
  await send(connectRequestBytes({ id: "g", address: there })).catch(() => {});
  await send(request(here, there)).catch(() => {});
  assertEquals(connections, []);
  await close();
});

Deno.test("inbound stream: a message to a missing actor is answered, so that no sender waits for it", async () => {
  const { here, there, received, answerAs, send, close } = await makeStage();
  await answerAs("g");
  await send(connectRequestBytes({ id: "g", address: there }));
  await send(request(here, there));
  const target = { address: here, id: "partition-activator" };
  const sender = { address: there, id: "future$2" };
  await send(letterBytes({ target, sender, type: "cluster.ActivationRequest", body: new Uint8Array() }));
  const answer = received.find(({ target }) => target.id === "future$2");
  assertEquals(answer?.type, "actor.DeadLetterResponse");
  assertEquals(DEAD_LETTER_RESPONSE.decode(answer!.body).target.id, "partition-activator");
  await close();
});

Deno.test("inbound stream: of a sender with ever new ids that is never found at its address, only a few ids are remembered", async () => {
  const { runtime, network, here, there, transport, connections, close } = await makeStage();
  for (let each = 0; each < 3 * MAX_IDLE_LINKS; each++) {
    const call = network.of(there).open(here, { maxBytes: 0 });
    const writer = call.writable.getWriter();
    await writer.write(connectRequestBytes({ id: `g${each}`, address: there }));
    await writer.write(request(here, there));
    await runtime.advance(10);
  }
  assertEquals(connections, []);
  assertEquals(transport.footprint, MAX_IDLE_LINKS);
  await close();
});

Deno.test("inbound stream: a closed transport neither accepts nor answers messages (R9.3)", async () => {
  const { here, there, transport, received, answerAs, send, close } = await makeStage();
  await answerAs("g");
  await send(connectRequestBytes({ id: "g", address: there }));
  await close();
  await send(request(here, there)).catch(() => {});
  assertEquals(received.filter(({ type }) => type === "cluster.GossipResponse"), []);
  assertEquals((await transport.incoming.getReader().read().catch(() => ({ done: true }))).done, true);
});

Deno.test("inbound stream: a sender whose address is more than a host and a port is neither answered nor dialed", async () => {
  const addresses = [
    "127.0.0.1:1/path?query=",
    "127.0.0.1:1#",
    "user:word@127.0.0.1:1",
    "127.0.0.1:1\\x",
    "127.0.0.1",
    `${"h".repeat(300)}:1`,
    "",
  ];
  for (const address of addresses) {
    const { here, send, answers, transport, close } = await makeStage();
    await send(connectRequestBytes({ id: "g", address })).catch(() => {});
    await send(request(here, address)).catch(() => {});
    assertEquals(answers, [], address);
    assertEquals(transport.footprint, 0, address);
    await close();
  }
});

Deno.test("inbound stream: silent streams exclude no member, because the stream that is silent for longest is closed", async () => {
  const { runtime, network, here, there, answerAs, send, answers, connections, close } = await makeStage();
  await send(connectRequestBytes({ id: "speaks", address: "127.0.0.1:99" }));
  const ended: number[] = [];
  for (let each = 0; each < MAX_STREAMS; each++) {
    const call = network.of(there).open(here, { maxBytes: 0 });
    void call.writable.getWriter().write(connectRequestBytes({ id: `g${each}`, address: there }));
    void (async () => {
      try {
        for await (const _ of call.readable);
      } catch { /* It was ended. */ }
      ended.push(each);
    })();
    await runtime.advance(10);
    if (each === MAX_STREAMS - 2) await send(request(here, "127.0.0.1:99"));
  }
  assertEquals(ended, [0]);
  assertEquals(answers.length, 1);
  await answerAs("late");
  const call = network.of(there).open(here, { maxBytes: 0 });
  const writer = call.writable.getWriter();
  await writer.write(connectRequestBytes({ id: "late", address: there }));
  await writer.write(request(here, there));
  await runtime.advance(100);
  assertEquals(connections.length, 1);
  await close();
});

Deno.test("inbound stream: a member that another member named with a wrong address is sent messages where it answers", async () => {
  const { runtime, here, there, transport, received, answerAs, send, close } = await makeStage();
  await send(connectRequestBytes({ id: "g", address: "127.0.0.1:99" }));
  await send(request(here, "127.0.0.1:99"));
  await answerAs("g");
  const dialing = transport.dial(`protoactor://${there}`, { signal: new AbortController().signal });
  await runtime.advance(100);
  const connection = await dialing;
  await connection.writable.getWriter().write({ type: "hello", id: "1" } as Message);
  await runtime.advance(100);
  assertEquals(received.map(({ target }) => target.address), [there]);
  await close();
});

Deno.test("inbound stream: a batch with too many letters ends the stream, and a letter with an endless name gets no answer", async () => {
  const { here, there, received, answerAs, send, close } = await makeStage();
  await answerAs("g");
  await send(connectRequestBytes({ id: "g", address: there }));
  await send(request(here, there));
  const sender = { address: there, id: "future$2" };
  const named = (id: string) =>
    letterBytes({ target: { address: here, id }, sender, type: "x.Y", body: new Uint8Array() });
  await send(named("n".repeat(100_000)));
  assertEquals(received.filter(({ target }) => target.id === "future$2").length, 0);
  await send(named("n"));
  assertEquals(received.filter(({ target }) => target.id === "future$2").length, 1);
  const envelope = { typeId: 0, messageData: new Uint8Array(), target: 0, sender: 1 };
  const messageBatch = {
    typeNames: ["x.Y"],
    targets: [{ address: here, id: "n" }],
    senders: [sender],
    envelopes: Array.from({ length: MAX_LETTERS + 1 }, () => envelope),
  };
  await send(REMOTE_MESSAGE.encode({ messageBatch })).catch(() => {});
  assertEquals(received.filter(({ target }) => target.id === "future$2").length, 1);
  await close();
});

Deno.test("inbound stream: this side ends a stream if the other side does not end it (R9.4)", async () => {
  const { runtime, network, there, transport, close } = await makeStage();
  const answered = Promise.withResolvers<WritableStreamDefaultWriter<Uint8Array>>();
  const onCall = async (call: Call) => {
    const writer = call.writable.getWriter();
    await writer.write(connectResponseBytes("g"));
    answered.resolve(writer);
    for await (const _ of call.readable);
  };
  const options = {
    hostname: "",
    port: 0,
    maxBytes: 0,
    onCall: (call: Call) => void onCall(call).catch(() => {}),
  };
  await network.of(there).listen(options);
  const dialing = transport.dial(`protoactor://${there}`, { signal: new AbortController().signal });
  await runtime.advance(100);
  const connection = await dialing;
  await connection.writable.close().catch(() => {});
  await runtime.advance(100);
  const writer = await answered.promise;
  await writer.write(connectResponseBytes("g"));
  await runtime.advance(1_000);
  await assertRejects(() => writer.write(connectResponseBytes("g")));
  await close();
});
