import { assertEquals } from "../../deps/std_assert.ts";
import { IdleConnections, MAX_DESCRIPTORS } from "./idle_connections.ts";
import { eventually, Program } from "./program.ts";

const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 300, maxBackoff: 300 };

/** Whether a server at the port answers a request. */
async function answers(port: number, path: string): Promise<boolean> {
  const signal = AbortSignal.timeout(1_000);
  try {
    await (await fetch(`http://127.0.0.1:${port}${path}`, { signal })).body?.cancel();
    return true;
  } catch {
    return false;
  }
}

Deno.test("a member whose descriptors run out keeps its connections, tells ListenFailed, and listens again", async () => {
  await using ada = Program.member({ id: "ada", port: 0, seeds: [], config: CONFIG }, {
    maxDescriptors: MAX_DESCRIPTORS,
  });
  const [, address = "", port] = await ada.until(/"listening","address":"(ws:[^"]*:(\d+))"/);
  await using ben = Program.member({ id: "ben", port: 0, seeds: [address], config: CONFIG });
  await ben.type("set before");
  await ada.until(/"GossipUpdate".*"ben".*"before"/);
  {
    using idle = new IdleConnections();
    await idle.exhaust(Number(port));
    await ada.until(/"ListenFailed"/);
    await ben.type("set meanwhile");
    await ada.until(/"GossipUpdate".*"ben".*"meanwhile"/);
  }
  await using cleo = Program.member({ id: "cleo", port: 0, seeds: [address], config: CONFIG });
  await cleo.type("set after");
  await ada.until(/"GossipUpdate".*"cleo".*"after"/);
  // A connection that had broken meanwhile would have led to an address that refuses new ones.
  assertEquals(ben.lines.filter((line) => line.includes("MemberSuspected")), []);
  assertEquals([ada.lines.filter((line) => line.includes("MemberBlocked")), ada.errors], [[], ""]);
  await ada.end();
  assertEquals((await ada.ended()).code, 0);
});

Deno.test("a member among protoactor's whose descriptors run out tells ListenFailed, and listens again", async () => {
  const permissions = ["--no-prompt", "--no-check", "--allow-net=127.0.0.1"];
  const args = ["run", ...permissions, "tests/process/protoactor_member.ts"];
  await using program = new Program({ args, maxDescriptors: MAX_DESCRIPTORS });
  const port = Number((await program.until(/^listening: (\d+)$/))[1]);
  {
    using idle = new IdleConnections();
    await idle.exhaust(port);
    await program.until(/^ListenFailed$/);
  }
  await eventually("it answers again", () => answers(port, "/"));
  await program.end();
  assertEquals([(await program.ended()).code, program.errors], [0, ""]);
});
