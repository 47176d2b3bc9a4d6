import { assertEquals } from "../../deps/std_assert.ts";

/**
 * Two transports exchange messages, one dials an unused address, and both close: no remaining resource may
 * keep a process alive.
 */
const PROGRAM = `
import { ProtoactorTransport } from ${
  JSON.stringify(import.meta.resolve("../../protoactor/transport/transport.ts"))
};
const options = { cluster: "orders", maxMessageBytes: 65536 };
const a = await ProtoactorTransport.listen({ ...options, id: "a" });
const b = await ProtoactorTransport.listen({ ...options, id: "b" });
const never = new AbortController().signal;
const near = await a.dial(a.addressOf(b.self), { signal: never });
await near.writable.getWriter().write({ type: "error", code: "busy", message: "hello" });
const absent = { id: "absent", host: "127.0.0.1", port: 1, kinds: [] };
await a.dial(a.addressOf(absent), { signal: never }).catch((error) => console.log(error.code));
const start = performance.now();
addEventListener("unload", () => console.log(performance.now() - start < 5000 ? "at once" : "late"));
await Promise.all([a.close(), b.close()]);
`;

Deno.test("protoactor: a process ends by itself, at once, when its transports are closed (R9.4)", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--no-lock", "--allow-net=127.0.0.1", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(30_000),
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(PROGRAM));
  await input.close();
  const { stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  assertEquals([decoder.decode(stdout), decoder.decode(stderr)], ["connection\nat once\n", ""]);
});
