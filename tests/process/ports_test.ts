import { assertEquals, assertGreater } from "../../deps/std_assert.ts";
import { freePort, freePorts } from "./ports.ts";

/** Ports that the system chooses, for listeners as for connections. */
function ephemeralPorts(count: number): readonly number[] {
  using stack = new DisposableStack();
  const listen = () => stack.use(Deno.listen({ hostname: "127.0.0.1", port: 0 })).addr.port;
  return Array.from({ length: count }, listen);
}

Deno.test("ports: no connection can take a port that a test listens at later, and no port is given twice", () => {
  const ports = [freePort(), ...freePorts(20)];
  assertEquals(new Set(ports).size, ports.length);
  assertGreater(Math.min(...ephemeralPorts(100)), Math.max(...ports));
});
