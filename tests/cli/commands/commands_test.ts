// Each command against real members, on a terminal of the test.

import { assert, assertEquals, assertMatch } from "../../../deps/std_assert.ts";
import { main } from "../../../cli/program.ts";
import { join, type JoinOptions, type Node } from "../../../mod.ts";
import { newClusterKey } from "../../../security/cluster_keys.ts";
import { typesOf } from "../../../operations/log_levels.ts";
import { MemberMeters } from "../../../operations/metrics/mod.ts";
import { FakeTerminal, run } from "../terminal.ts";

function member(options: Partial<JoinOptions> = {}): Promise<Node> {
  const config = { gossipInterval: 50, gossipRequestTimeout: 1_000 };
  return join({ cluster: "orders", listen: { port: 0 }, log: false, config, ...options });
}

Deno.test("members: lists ids, states and addresses; with --json as one document", async () => {
  await using one = await member({ id: "ada", kinds: ["order"] });
  await using two = await member({ id: "ben", seeds: [one.address] });
  await two.whenMembers(2);
  const { code, output } = await run(["members", "--at", one.address]);
  assertEquals(code, 0);
  assertMatch(output, /^MEMBER +STATUS +HEARD +LACKS +ADDRESS +KINDS$/m);
  assertMatch(output, /^ada \* +alive +- +- +127\.0\.0\.1:\d+ +order$/m);
  assertMatch(output, /^ben +alive +\d+ ms +\d+ +127\.0\.0\.1:\d+ +-$/m);
  const { members, self } = JSON.parse((await run(["members", "--json", "--at", one.address])).output);
  assertEquals([self, members.map(({ id }: { id: string }) => id)], ["ada", ["ada", "ben"]]);
});

Deno.test("members: an id with control characters cannot reach the terminal", async () => {
  await using node = await member({ id: "eve\u001b[2J\n\u202e" });
  const { output } = await run(["members", "--at", node.address], {
    isTerminal: true,
    env: { NO_COLOR: "1" },
  });
  assertMatch(output, /^eve\\u001b\[2J\\u000a\\u202e/m);
  const json = (await run(["members", "--json", "--at", node.address])).output;
  // deno-lint-ignore no-control-regex -- those are looked for
  assert(!/[\u0000-\u0009\u000b-\u001f\u202e]/.test(json));
  assertEquals(JSON.parse(json).self, "eve\u001b[2J\n\u202e");
});

Deno.test("members --watch: draws again when a member joins, until Ctrl-C", async () => {
  await using one = await member({ id: "ada" });
  const terminal = new FakeTerminal({ isTerminal: true });
  const running = main(["members", "--watch", "--at", one.address], terminal);
  await terminal.until(/1 alive/);
  await using _two = await member({ id: "ben", seeds: [one.address] });
  await terminal.until(/ben/);
  terminal.interruption.abort();
  assertEquals(await running, 0);
  // deno-lint-ignore no-control-regex -- the place of the cursor
  assertMatch(terminal.output, /\u001b\[H/);
});

Deno.test("get: prints the values by member, with --member one value as JSON; without a value the exit code is 1", async () => {
  await using node = await member({ id: "ada" });
  node.setState("version", { major: 1 });
  const { output } = await run(["get", "version", "--at", node.address]);
  assertMatch(output, /^ada +\d+ +\d\d:\d\d:\d\d +\{"major":1\}$/m);
  assertEquals(
    (await run(["get", "version", "--member", "ada", "--at", node.address])).output,
    '{"major":1}\n',
  );
  const none = await run(["get", "nothing", "--at", node.address]);
  assertEquals([none.code, none.errors], [
    1,
    'hearsay: No member has a value under "nothing", as ada knows it.\n',
  ]);
  const unset = await run(["get", "version", "--member", "ben", "--at", node.address]);
  assertEquals([unset.code, unset.errors], [
    1,
    'hearsay: The member "ben" has no value under "version", as ada knows it.\n',
  ]);
});

Deno.test("set: sets and deletes a key of the asked member; a value that is no JSON is an error of usage", async () => {
  await using node = await member({ id: "ada", observers: { maySet: true } });
  const at = ["--at", node.address];
  assertMatch((await run(["set", "k", "[1]", ...at])).output, /^ada set "k" \(number \d+\)\.\n$/);
  assertEquals(node.getState("k").get("ada")?.value, [1]);
  const wrong = await run(["set", "k", "hello", ...at]);
  assertEquals([wrong.code, wrong.errors], [
    2,
    'hearsay: The value must be JSON; got "hello". A text needs quotes of its own: \'"hello"\'.\n',
  ]);
  assertEquals((await run(["set", "k", ...at])).code, 2);
  assertEquals((await run(["set", "k", "--delete", ...at])).output, "Deleted.\n");
  assertEquals((await run(["set", "k", "--delete", ...at])).code, 1);
});

Deno.test("watch: prints the present value, and changes as JSON lines", async () => {
  await using node = await member({ id: "ada" });
  node.setState("k", 1);
  const terminal = new FakeTerminal();
  const running = main(["watch", "k", "--json", "--at", node.address], terminal);
  await terminal.until(/"value":1/);
  node.setState("k", 2);
  await terminal.until(/"value":2/);
  terminal.interruption.abort();
  assertEquals(await running, 0);
  const [first, second] = terminal.lines.slice(0, 2).map((line) => JSON.parse(line));
  assertEquals([first.value, second.value, second.memberId], [1, 2, "ada"]);
});

Deno.test("watch: prints a line for each change, with its member and number, and says that a value was deleted", async () => {
  await using node = await member({ id: "ada" });
  node.setState("k", "one");
  const terminal = new FakeTerminal();
  const running = main(["watch", "k", "--at", node.address], terminal);
  await terminal.until(/^\d\d:\d\d:\d\d {2}ada {2}\d+ {2}"one"$/m);
  node.deleteState("k");
  await terminal.until(/^\d\d:\d\d:\d\d {2}ada {2}\d+ {2}deleted$/m);
  terminal.interruption.abort();
  assertEquals(await running, 0);
});

Deno.test("events all --json: prints all events but heartbeats as JSON lines", async () => {
  await using one = await member({ id: "ada" });
  const terminal = new FakeTerminal();
  const running = main(["events", "all", "--json", "--at", one.address], terminal);
  for (let n = 0; !terminal.output.includes('"GossipUpdate"'); n++) {
    one.setState("k", n);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  terminal.interruption.abort();
  assertEquals(await running, 0);
  const events = terminal.lines.filter((line) => line !== "").map((line) => JSON.parse(line));
  assert(events.every(({ key, type }) => type !== "GossipUpdate" || key === "k"), terminal.output);
});

Deno.test("explain and seen: --json has all that a member knows, and of itself its seeds", async () => {
  await using one = await member({ id: "ada" });
  await using two = await member({ id: "ben", seeds: [one.address, "ws://127.0.0.1:1"] });
  await two.whenMembers(2);
  await two.setStateRequest("k", 1, { acknowledgedBy: 1 });
  const json = async (...args: string[]) =>
    JSON.parse((await run([...args, "--json", "--at", two.address])).output);
  const explained = await json("explain", "ada");
  assertEquals([explained.askedOf, explained.memberId, explained.status], ["ben", "ada", "alive"]);
  assertEquals((await json("seen", "k")).have, 2);
  const { output } = await run(["explain", "--at", two.address]);
  assertMatch(output, /^Seed ws:\/\/127\.0\.0\.1:\d+\/?: \w+ ada\.$/m);
  assertMatch(output, /^Seed ws:\/\/127\.0\.0\.1:1\/?: failed \(/m);
});

Deno.test("events: prints a sentence for each; an unknown type is an error that names it", async () => {
  await using one = await member({ id: "ada" });
  const terminal = new FakeTerminal();
  const running = main(["events", "MemberJoined", "Confirmed", "--at", one.address], terminal);
  // The member may rest before it subscribes the command to its events.
  for (let n = 0; !terminal.output.includes("Confirmed"); n++) {
    one.events.publish({ type: "Confirmed", digest: String(n) });
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const unknown = await run(["events", "MemberJoind", "--at", one.address]);
  assertEquals(unknown.code, 2);
  assertMatch(
    unknown.errors,
    /^hearsay: .* `types\[0\]` must name an event \(did you mean MemberJoined\?\); got "MemberJoind"/,
  );
  // The member's error has several lines.
  assert(!unknown.errors.includes("u000a"), unknown.errors);
  await using _three = await member({ id: "cleo", seeds: [one.address] });
  await terminal.until(/^\d\d:\d\d:\d\d {2}MemberJoined +the member "cleo" joined\.$/m);
  terminal.interruption.abort();
  assertEquals(await running, 0);
});

Deno.test("explain and seen: say what a member knows; an unknown member is exit code 1", async () => {
  await using one = await member({ id: "ada" });
  await using two = await member({ id: "ben", seeds: [one.address] });
  await two.whenMembers(2);
  await one.setStateRequest("k", 1, { acknowledgedBy: 1 });
  const explained = await run(["explain", "ben", "--at", one.address]);
  assertMatch(explained.output, /^ben is alive, since .* as ada sees it\.$/m);
  assertMatch(explained.output, /^\d\d:\d\d:\d\d +1 +joined/m);
  assertMatch(explained.output, /^It is connected, and lacks (nothing|\d entr(y|ies)) of ada\.$/m);
  assertMatch(
    (await run(["explain", "--at", one.address])).output,
    /^ada is alive, as it sees itself\.\nThis member is alive, with 1 other\.\nEnds when: It leaves or crashes\.$/m,
  );
  assertEquals((await run(["explain", "no-such-member", "--at", one.address])).code, 1);
  assertMatch(
    (await run(["seen", "k", "--at", one.address])).output,
    /^2 of 2 members have it \(number \d+\)\.$/m,
  );
  assertEquals((await run(["seen", "none", "--at", one.address])).code, 1);
  await two.stop();
  const left = await run(["explain", "ben", "--at", one.address]);
  assertMatch(left.output, /^ben has left, since .* as ada sees it\.$/m);
  assertMatch(left.output, /^Ends when: It starts again and joins\.\nIt is not connected\.$/m);
});

Deno.test("top: shows rates with meters; without meters it says what to do", async () => {
  await using one = await member({ id: "ada", meters: new MemberMeters() });
  const alone = await run(["top", "--once", "--at", one.address]);
  assert(!alone.output.includes("SLOWEST PEERS"), alone.output);
  await using two = await member({ id: "ben", seeds: [one.address] });
  await two.whenMembers(2);
  const { output } = await run(["top", "--once", "--at", one.address]);
  assertMatch(output, /^ {2}rounds +\d+ \(\d+\.\d\/s\), \d+ skipped$/m);
  assertMatch(output, /^ {2}sent +.*\/s; .* messages$/m);
  assertMatch(output, /^SLOWEST PEERS +LAST +LACKS +OUTCOME$/m);
  // The slowest peer has the longest bar.
  assertMatch(output, /^ben +\d+ ms {2}█{16} +\d+ +done$/m);
  assertMatch((await run(["top", "--once", "--at", two.address])).output, /This member has no meters/);
});

Deno.test("top and members --watch: no line is wider than the terminal, and no number is cut", async () => {
  await using one = await member({ id: "ada".repeat(30), meters: new MemberMeters() });
  await using two = await member({ id: "ben".repeat(30), seeds: [one.address] });
  await two.whenMembers(2);
  // deno-lint-ignore no-control-regex -- the places of the cursor, and colors
  const linesIn = (output: string) => output.replaceAll(/\u001b\[\d*[HJKm]/g, "").split("\n");
  for (const columns of [50, 40, 24]) {
    const size = { isTerminal: true, columns };
    const lines = linesIn((await run(["top", "--once", "--at", one.address], size)).output);
    assertEquals(lines.filter((line) => [...line].length > columns), []);
    const [sent = ""] = lines.filter((line) => line.startsWith("  sent"));
    assertMatch(sent, /^ {2}sent {8}[\d.]+ K?i?B\/s(;( [\d.]+( K?i?B( in( \d+( messages)?)?)?)?)?)?…?$/);
    const terminal = new FakeTerminal(size);
    const running = main(["members", "--watch", "--at", one.address], terminal);
    await terminal.until(/2 alive/);
    terminal.interruption.abort();
    await running;
    const wide = linesIn(terminal.output).filter((line) => [...line].length > columns);
    assertEquals(wide, []);
  }
});

Deno.test("keygen: prints a strong key, and writes no file twice", async () => {
  const { output } = await run(["keygen"]);
  assertMatch(output, /^[\w-]{43}\n$/);
  const folder = await Deno.makeTempDir();
  try {
    assertEquals((await run(["keygen", "--signing", `${folder}/key`])).code, 0);
    assertEquals((await Deno.stat(`${folder}/key`)).mode! & 0o777, 0o600);
    assertEquals((await run(["keygen", "--signing", `${folder}/key`])).code, 2);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("keygen --fingerprints: prints equal fingerprints for equal keys, and never a key", async () => {
  const [one, other] = [await newClusterKey(), await newClusterKey()];
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, `${one}\n${other}\n`);
    const { output } = await run(["keygen", "--fingerprints", "--keys-file", file]);
    assertMatch(output, /^[0-9a-f]{16}\n[0-9a-f]{16}\n$/);
    await Deno.writeTextFile(file, `${other}\n`);
    assertEquals((await run(["keygen", "--fingerprints", "--keys-file", file])).output, output.slice(17));
    const json = (await run(["keygen", "--fingerprints", "--keys-file", file, "--json"])).output;
    assertEquals(JSON.parse(json), { fingerprints: [output.slice(17, 33)] });
  } finally {
    await Deno.remove(file);
  }
  const without = await run(["keygen", "--fingerprints"]);
  assertEquals([without.code, without.errors], [
    2,
    "hearsay: --fingerprints needs keys: --keys-file <file>, or HEARSAY_KEYS.\n",
  ]);
});

Deno.test("events --help: names every type of event, within the width of the terminal", async () => {
  const { output } = await run(["events", "--help"], { isTerminal: true, columns: 80 });
  for (const type of typesOf("debug")) assertMatch(output, new RegExp(`\\b${type}\\b`));
  assertMatch(output, /^Types of membership and trouble:\n {2}AddressShared, Alone, /m);
  assertEquals(output.split("\n").filter((line) => line.length > 80), []);
});

Deno.test("help: no line is wider than the terminal", async () => {
  for (const columns of [46, 60, 80, 200]) {
    for (const args of [["--help"], ["members", "--help"], ["agent", "--help"], ["events", "--help"]]) {
      const { output } = await run(args, { isTerminal: true, columns });
      assertEquals(output.split("\n").filter((line) => line.length > Math.min(100, columns)), []);
    }
  }
  const narrow = (await run(["doctor", "--help"], { isTerminal: true, columns: 40 })).output;
  assertMatch(narrow, /^ {2}--id <text>\n {6}the member's id$/m);
});

Deno.test("doctor: offers no --token, says why it takes none, and does not use HEARSAY_TOKEN", async () => {
  assert(!(await run(["doctor", "--help"])).output.includes("--token"));
  for (const shell of ["bash", "zsh", "fish"]) {
    const script = (await run(["completions", shell])).output;
    const [doctor = ""] = script.split("\n").filter((line) => /\bdoctor\b.*(--id|-l id)/.test(line));
    assert(doctor !== "" && !/--token|-l token/.test(doctor), doctor);
  }
  const { code, errors } = await run(["doctor", "--token", "x"]);
  assertEquals(code, 2);
  assertMatch(errors, /^hearsay: doctor takes keys and no --token: a token is for one connection/);
  await using node = await member({ id: "ada", authentication: { keys: [await newClusterKey()] } });
  const { output } = await run(["doctor", "--at", node.address], { env: { HEARSAY_TOKEN: "x" } });
  assertMatch(output, /^Fault: wrong key\. The member asks for a key, and this side has none \(401\)\.$/m);
});

Deno.test("command: the address, cluster and keys come from the environment too", async () => {
  const key = await newClusterKey();
  await using node = await member({ id: "ada", authentication: { keys: [key] } });
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/keys`, `${key}\n`);
    const env = { HEARSAY_AT: node.address, HEARSAY_CLUSTER: "orders" };
    assertEquals((await run(["members", "--keys-file", `${folder}/keys`], { env })).code, 0);
    const refused = await run(["members"], { env });
    assertEquals(refused.code, 4);
    assertMatch(refused.errors, /^hearsay: .* asks for a key \(401\): give --keys-file <file>/);
    const without = await run(["members", "--keys-file", `${folder}/keys`], {
      env: { HEARSAY_AT: node.address },
    });
    assertEquals(without.code, 2);
    assertMatch(without.errors, /--cluster <name>/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("token: lets a person without a key read, once, and set nothing", async () => {
  const key = await newClusterKey();
  await using node = await member({
    id: "ada",
    authentication: { keys: [key] },
    observers: { maySet: true },
  });
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/keys`, `${key}\n`);
    const target = ["--at", node.address, "--cluster", "orders"];
    const tokenNow = async () =>
      (await run(["token", ...target, "--keys-file", `${folder}/keys`])).output.trim();
    const env = { HEARSAY_TOKEN: await tokenNow() };
    assertEquals((await run(["members", ...target], { env })).code, 0);
    assertEquals((await run(["members", ...target], { env })).code, 4);
    const refused = await run(["set", "k", "1", ...target], { env: { HEARSAY_TOKEN: await tokenNow() } });
    assertEquals([refused.code, refused.errors], [
      4,
      "hearsay: This observer's token is for reading only.\n",
    ]);
    assertEquals((await run(["set", "k", "1", ...target, "--keys-file", `${folder}/keys`])).code, 0);
    assertEquals((await run(["token", ...target])).code, 2);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("command: prints colors only on a terminal, and not with NO_COLOR or --no-color", async () => {
  await using node = await member();
  const isPainted = async (args: readonly string[], options = {}) =>
    (await run(["members", "--at", node.address, ...args], options)).output.includes("\u001b[");
  assertEquals(
    [
      await isPainted([], { isTerminal: true }),
      await isPainted([]),
      await isPainted([], { isTerminal: true, env: { NO_COLOR: "1" } }),
      await isPainted(["--no-color"], { isTerminal: true }),
    ],
    [true, false, false, false],
  );
});

Deno.test("command: --help names every command and every exit code, and --json makes JSON of errors", async () => {
  const { code, output } = await run(["--help"]);
  assertEquals(code, 0);
  const commands = ["agent", "completions", "doctor", "events", "explain", "get", "keygen", "members"];
  for (const name of [...commands, "seen", "set", "simulate", "token", "top", "watch"]) {
    assertMatch(output, new RegExp(`^  ${name} `, "m"));
  }
  assertMatch(output, /0 all went well; 1 [^]*2 [^]*3 [^]*4 a\s+member\s+refused/);
  const { errors } = await run(["members", "--json", "--at", "ws://127.0.0.1:1"]);
  assertEquals(JSON.parse(errors).exitCode, 3);
});
