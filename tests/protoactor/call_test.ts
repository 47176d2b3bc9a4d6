import { assertEquals, assertLess, assertRejects } from "../../deps/std_assert.ts";
import { type Call, grpcCalls } from "../../protoactor/transport/call.ts";

const LIMITS = { maxBytes: 1024 * 1024 };

/** A server with unframed bytes as answers, and a call to it. */
async function rawly(
  chunks: () => AsyncIterable<Uint8Array>,
  onEnd: () => void = () => {},
): Promise<{ received: number[]; error: unknown }> {
  const called = Promise.withResolvers<Call>();
  const server = await grpcCalls.listen({
    ...LIMITS,
    hostname: "127.0.0.1",
    port: 0,
    onCall: called.resolve,
  });
  const client = Deno.createHttpClient({ http1: false, http2: true });
  const answer = fetch(`http://127.0.0.1:${server.port}/remote.Remoting/Receive`, {
    method: "POST",
    headers: { "content-type": "application/grpc" },
    body: ReadableStream.from(chunks()),
    client,
  }).then((response) => response.body!.cancel()).catch(() => {});
  const call = await called.promise;
  const received: number[] = [];
  let error: unknown;
  try {
    for await (const message of call.readable) received.push(message.length);
  } catch (thrown) {
    error = thrown;
  }
  onEnd();
  call.cancel();
  await answer;
  client.close();
  await server.close();
  return { received, error };
}

function framed(length: number, flag = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(5 + length);
  bytes[0] = flag;
  new DataView(bytes.buffer).setUint32(1, length);
  return bytes;
}

function cut(bytes: Uint8Array<ArrayBuffer>, every: number): Uint8Array<ArrayBuffer>[] {
  return Array.from(
    { length: Math.ceil(bytes.length / every) },
    (_, at) => bytes.slice(at * every, (at + 1) * every),
  );
}

async function joined(...frames: Uint8Array<ArrayBuffer>[]): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Blob(frames).arrayBuffer());
}

Deno.test("gRPC call: messages arrive whole, wherever the bytes are split", async () => {
  const lengths = [0, 1, 0, 300, 4, 70_000, 0];
  const bytes = await joined(...lengths.map((length) => framed(length)));
  for (const every of [1, 4, 5, 6, 1_000, 100_000]) {
    const of = every === 1 ? bytes.slice(0, 5 * 5 + 305) : bytes;
    const { received, error } = await rawly(async function* () {
      yield* cut(of, every);
    });
    assertEquals(error, undefined);
    assertEquals(received, every === 1 ? lengths.slice(0, 5) : lengths, `every ${every}`);
  }
});

Deno.test("gRPC call: a compressed or too large message ends the call before its bytes come", async () => {
  for (
    const [head, why] of [
      [framed(9, 1).slice(0, 5), "A message is compressed."],
      [framed(LIMITS.maxBytes + 1).slice(0, 5), `A message is larger than ${LIMITS.maxBytes} bytes.`],
    ] as const
  ) {
    const ended = Promise.withResolvers<void>();
    const { received, error } = await rawly(async function* () {
      yield framed(3);
      yield head;
      await ended.promise;
    }, ended.resolve);
    assertEquals(received, [3]);
    assertEquals((error as Error).message, why);
  }
});

Deno.test("gRPC call: a message that comes byte by byte takes no more memory than its length", async () => {
  const before = Deno.memoryUsage().external;
  let most = 0;
  await rawly(async function* () {
    yield framed(LIMITS.maxBytes).slice(0, 5);
    for (let each = 0; each < 2_500; each++) {
      yield new Uint8Array(1);
      // Each in its own turn of the event loop, so that they are not sent as one.
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (each % 100 === 99) most = Math.max(most, Deno.memoryUsage().external - before);
    }
  });
  assertLess(most, 100 * 1024 * 1024);
});

Deno.test("gRPC call: leaves nothing open if it is canceled before it has connected", async () => {
  // A full backlog neither accepts nor refuses a further connection.
  const full = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
  const { port } = full.addr as Deno.NetAddr;
  const waiting: Deno.Conn[] = [];
  for (let each = 0; each < 2; each++) waiting.push(await Deno.connect({ hostname: "127.0.0.1", port }));
  const call = grpcCalls.open(`127.0.0.1:${port}`, LIMITS);
  const reading = call.readable.getReader().read();
  await new Promise((resolve) => setTimeout(resolve, 50));
  call.cancel();
  await assertRejects(() => reading, Error, "The call was ended.");
  // The sanitizers check that nothing is under way any more.
  await new Promise((resolve) => setTimeout(resolve, 0));
  for (const each of waiting) each.close();
  full.close();
});

Deno.test("gRPC call: a redirect is not followed", async () => {
  let asked = 0;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    asked++;
    return new Response(null, { status: 303, headers: { location: "/elsewhere" } });
  });
  const call = grpcCalls.open(`127.0.0.1:${server.addr.port}`, LIMITS);
  await assertRejects(() => call.readable.getReader().read());
  assertEquals(asked, 1);
  await server.shutdown();
});
