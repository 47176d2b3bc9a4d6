// `hearsay members`: its marks, and the views of all members.

import { assertEquals, assertMatch } from "../../../deps/std_assert.ts";
import { join, type JoinOptions, type Node } from "../../../mod.ts";
import { newClusterKey } from "../../../security/cluster_keys.ts";
import { run } from "../terminal.ts";

function member(id: string, options: Partial<JoinOptions> = {}): Promise<Node> {
  const config = { gossipInterval: 50, gossipRequestTimeout: 300 };
  return join({ id, cluster: "orders", listen: { port: 0 }, log: false, config, ...options });
}

/** Runs the command until its output matches, for 20 s at most. */
async function untilMatch(
  pattern: RegExp,
  ...commands: readonly (readonly string[])[]
): ReturnType<typeof run> {
  const until = AbortSignal.timeout(20_000);
  for (let count = 0;; count++) {
    const ran = await run(commands[count % commands.length]!);
    if (pattern.test(ran.output)) return ran;
    if (until.aborted) throw new Error(`No ${pattern} in:\n${ran.output}${ran.errors}`);
  }
}

Deno.test("members: marks a member that was not heard for ten intervals, and says what the mark means", async () => {
  await using ada = await member("ada");
  // Its heartbeats come every 2 s, and the ten intervals of the other one are half a second.
  await using ben = await member("ben", { seeds: [ada.address], config: { gossipInterval: 2_000 } });
  await ben.whenMembers(2);
  const { output } = await untilMatch(/ !/, ["members", "--at", ada.address]);
  assertMatch(output, /^ben +alive +\S+ m?s ! +\d+ +127/m);
  assertMatch(output, /^2 alive {3}\* the asked member {3}! not heard for 500 ms$/m);
});

Deno.test("members --all: says that all agree; a member that cannot be asked is named", async () => {
  await using ada = await member("ada");
  const seeds = [ada.address];
  await using ben = await member("ben", { seeds });
  await using cleo = await member("cleo", { seeds, observers: false });
  await Promise.all([ada, ben, cleo].map((each) => each.whenMembers(3)));
  const { code, output } = await run(["members", "--all", "--at", ada.address]);
  assertEquals(code, 0);
  assertMatch(output, /^ada \* +alive +127\.0\.0\.1:\d+ +1 agrees$/m);
  assertMatch(output, /^cleo at 127\.0\.0\.1:\d+ could not be asked: .+$/m);
  assertMatch(output, /^1 other member asked: all agree\.$/m);
});

Deno.test("members --all: shows which member blocks a member that is alive for the asked one, and exits with 1", async () => {
  await using ada = await member("ada");
  const seeds = [ada.address];
  await using ben = await member("ben", { seeds });
  await using cleo = await member("cleo", { seeds });
  await Promise.all([ada, ben, cleo].map((each) => each.whenMembers(3)));
  ben.block("cleo");
  const { code, output } = await untilMatch(/failed/, ["members", "--all", "--at", ada.address]);
  assertEquals(code, 1);
  assertMatch(output, /^cleo +alive +127\.0\.0\.1:\d+ +failed: ben; 1 agrees$/m);
  assertMatch(output, /^2 other members asked: they disagree about \d members?\.$/m);
  const json = JSON.parse((await run(["members", "--all", "--json", "--at", ada.address])).output);
  assertEquals([json.self, json.agree, json.views.length, json.silent], ["ada", false, 3, []]);
});

Deno.test("members --all: names the address of another process with the id of the asked member", async () => {
  await using ada = await member("ada");
  const seeds = [ada.address];
  await using ben = await member("ben", { seeds });
  await using twin = await member("ben", { seeds });
  const hosts = [ben, twin].map(({ address }) => new URL(address).host);
  // `ada` knows one of the two at a time, and the other is to be asked.
  const named = new RegExp(`^ben \\* .* at (${hosts.join("|")}): ada$`, "m");
  await untilMatch(named, ...[ben, twin].map(({ address }) => ["members", "--all", "--at", address]));
});

Deno.test("members --all: asks with keys, and takes neither a token nor --watch", async () => {
  const key = await newClusterKey();
  const authentication = { keys: [key] };
  await using ada = await member("ada", { authentication });
  await using ben = await member("ben", { seeds: [ada.address], authentication });
  await ben.whenMembers(2);
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, key);
    const args = ["members", "--all", "--at", ada.address, "--cluster", "orders"];
    assertMatch((await run([...args, "--keys-file", file])).output, /^1 other member asked: all agree\.$/m);
    const refused = await run([...args, "--token", "x"]);
    assertEquals([refused.code, refused.errors], [
      2,
      "hearsay: --all asks every member, and a token is for one connection: give --keys-file.\n",
    ]);
    assertEquals((await run([...args, "--watch", "--keys-file", file])).code, 2);
  } finally {
    await Deno.remove(file);
  }
});
