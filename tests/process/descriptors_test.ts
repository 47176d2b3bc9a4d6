import { assertEquals, assertMatch } from "../../deps/std_assert.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import { forge } from "../security/attacker.ts";
import { IdleConnections, MAX_DESCRIPTORS } from "./idle_connections.ts";
import { eventually, Program } from "./program.ts";

const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 300, maxBackoff: 300 };

/** The number of open descriptors of a process. */
async function descriptorsOf(pid: number): Promise<number> {
  const { stdout } = await new Deno.Command("ls", { args: [`/proc/${pid}/fd`] }).output();
  return new TextDecoder().decode(stdout).trim().split("\n").length;
}

/** True if a server at the port answers a request. */
async function answers(port: number, path: string): Promise<boolean> {
  const signal = AbortSignal.timeout(1_000);
  try {
    await (await fetch(`http://127.0.0.1:${port}${path}`, { signal })).body?.cancel();
    return true;
  } catch {
    return false;
  }
}

/** All that a process without free descriptors logs. */
const LOGGED =
  /^Hearsay: 127\.0\.0\.1:\d+ accepts no connections: .* Repetitions within an hour are not logged\.\n$/;

Deno.test("descriptors: a member without free descriptors keeps its connections, emits ListenFailed and listens again", async () => {
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
  // A broken connection would lead to a suspicion, because new dials are refused.
  assertEquals(ben.lines.filter((line) => line.includes("MemberSuspected")), []);
  assertEquals(ada.lines.filter((line) => line.includes("MemberBlocked")), []);
  assertMatch(ada.errors, LOGGED);
  await ada.end();
  assertEquals((await ada.ended()).code, 0);
});

Deno.test("descriptors: a member in a protoactor cluster without free descriptors emits ListenFailed and listens again", async () => {
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
  assertEquals((await program.ended()).code, 0);
  assertMatch(program.errors, LOGGED);
});

Deno.test({
  name: "descriptors: a client that disconnects before the upgrade leaves no descriptor open",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const key = await newClusterKey();
    const options = { id: "ada", port: 0, seeds: [], config: CONFIG, authentication: { keys: [key] } };
    await using ada = Program.member(options);
    const port = Number((await ada.until(/"port":(\d+)/))[1]);
    const open = await descriptorsOf(ada.pid);
    for (let attempt = 0; attempt < 200; attempt++) {
      const token = await forge({ key, cluster: "faults", authority: `127.0.0.1:${port}` });
      const connection = await Deno.connect({ hostname: "127.0.0.1", port });
      await connection.write(new TextEncoder().encode(upgradeWith(token)));
      connection.close();
    }
    // A new process opens a few more of its own.
    await eventually("its descriptors are gone", async () => await descriptorsOf(ada.pid) <= open + 20);
    // Deno warns once that the request's signal aborts when a client is gone. On a busy machine more clients than
    // `maxHandshakes` come at once.
    const expected =
      /^(?:Deno\.serve: request\.signal aborts |Hearsay: a client .* Too many upgrades ).*\n/gm;
    assertEquals(ada.errors.replace(expected, ""), "");
  },
});

function upgradeWith(token: string): string {
  return [
    "GET /gossip HTTP/1.1",
    "host: 127.0.0.1",
    "upgrade: websocket",
    "connection: Upgrade",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-protocol: hearsay.v2",
    `authorization: Bearer ${token}`,
    "",
    "",
  ].join("\r\n");
}
