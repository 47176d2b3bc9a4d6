import { assertEquals, assertMatch } from "../../deps/std_assert.ts";
import { DnsServer, dnsTest } from "../discovery/dns_server.ts";
import { Program } from "./program.ts";

function start(nameServerPort: number): Program {
  const program = new URL("tunnel.ts", import.meta.url).pathname;
  // The name is dialed, so that the permission has to be for all.
  return new Program({
    args: ["run", "--no-prompt", "--no-check", "--allow-net", program, `${nameServerPort}`],
  });
}

Deno.test("wss: a name with # is dialed at the address after #, its certificate is checked, and nothing is left open", async () => {
  await using program = start(0);
  assertEquals((await program.ended()).code, 0, program.errors);
  const [passed, ...refused] = program.lines;
  assertMatch(passed!, /^passed: \[.*"id":"1".*"id":"2".*\]$/);
  assertMatch(refused[0]!, /^refused: .*(certificate|NotValidForName|invalid peer)/i);
  assertMatch(
    refused[1]!,
    /^refused: wss:\/\/orders\.test:\d+\/gossip#127\.0\.0\.3 could not be reached: .*refused/i,
  );
  assertEquals(refused[2], "closed");
});

dnsTest(
  "wss: a seed that is a name is dialed at each of its addresses, so that islands behind it meet",
  async () => {
    await using server = await DnsServer.start({ hosts: { "orders.test": ["127.0.0.1", "127.0.0.2"] } });
    await using program = start(server.nameServer.port);
    const [, met] = await program.until(/^met: (.*)$/);
    assertMatch(met!, /wss:\/\/orders\.test:\d+#127\.0\.0\.1 wss:\/\/orders\.test:\d+#127\.0\.0\.2/);
    await program.until(/^left$/);
    assertEquals((await program.ended()).code, 0, program.errors);
  },
);

Deno.test("wss: a tunnel without a free descriptor fails its dial at once, and the process goes on", async () => {
  await using program = new Program({
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      "--allow-net",
      "--allow-read=/dev/null",
      "tests/process/tunnel_full.ts",
    ],
    maxDescriptors: 64,
  });
  assertEquals((await program.ended()).code, 0, program.errors);
  assertEquals(program.lines, ["first connection", "second connection at once", "closed"]);
});
