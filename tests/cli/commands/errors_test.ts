// The errors of the command: their exit codes, and words that its user knows.

import { assert, assertEquals, assertMatch } from "../../../deps/std_assert.ts";
import { main } from "../../../cli/program.ts";
import { join, type JoinOptions, type Node } from "../../../mod.ts";
import { newClusterKey } from "../../../security/cluster_keys.ts";
import { Authority } from "../../security/certificates.ts";
import { FakeTerminal, run } from "../terminal.ts";

function member(options: Partial<JoinOptions> = {}): Promise<Node> {
  const config = { gossipInterval: 50, gossipRequestTimeout: 1_000 };
  return join({ cluster: "orders", listen: { port: 0 }, log: false, config, ...options });
}

/** A folder with files, by name. */
async function folderWith(files: Readonly<Record<string, string>>) {
  const path = await Deno.makeTempDir();
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${path}/${name}`, text);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test("errors: a file that cannot be used is exit code 2, with the name of its flag", async () => {
  await using folder = await folderWith({ "half.pem": "-----BEGIN CERTIFICATE-----\nabc\n", "file": "" });
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [
      ["members", "--keys-file", folder.path, "--cluster", "x"],
      /^hearsay: --keys-file must name a file; .* Is a directory/,
    ],
    [["members", "--ca", folder.path], /^hearsay: --ca must name a file; .* Is a directory/],
    [
      ["members", "--ca", `${folder.path}/half.pem`],
      /^hearsay: --ca must name a file; .* has no valid certificate/,
    ],
    [["agent", "--config", folder.path], /^hearsay: --config must name a file; .* Is a directory/],
    [
      ["agent", "--config", `${folder.path}/file/x`],
      /^hearsay: --config must name a file; .* Not a directory/,
    ],
    [["doctor", "--config", folder.path], /^hearsay: --config must name a file; .* Is a directory/],
    [
      ["keygen", "--signing", `${folder.path}/file/x`],
      /^hearsay: --signing must name a file; .* Not a directory/,
    ],
    [
      ["keygen", "--signing", `${folder.path}/none/x`],
      /^hearsay: --signing must name a file; .* is in no folder that exists\.$/m,
    ],
  ];
  for (const [args, pattern] of cases) {
    const { code, errors } = await run(args);
    assertMatch(errors, pattern);
    assertEquals(code, 2, args.join(" "));
  }
});

Deno.test("agent: refuses a wrong `state` before it joins, and leaves if a limit refuses a value", async () => {
  await using one = await member({ id: "ada" });
  await using folder = await folderWith({
    "wrong.yaml": "cluster: orders\nid: ben\nstate: { a: 2026-01-01 }\n",
    "large.yaml": `cluster: orders\nid: cleo\nmaxMessageBytes: 16384\nstate: { a: ${"x".repeat(9_000)} }\n`,
  });
  const agent = (file: string) => run(["agent", "--config", `${folder.path}/${file}`, "--seed", one.address]);
  const wrong = await agent("wrong.yaml");
  assertMatch(wrong.errors, /^hearsay: `state` in .*: The key "a" .* put a date in quotes\.$/m);
  assertEquals([wrong.code, one.members.map(({ id }) => id)], [2, ["ada"]]);
  const large = await agent("large.yaml");
  assertMatch(large.errors, /^hearsay: `state` does not fit: .* The member has left again\.$/m);
  assertEquals(large.code, 2);
  assert(!one.members.some(({ id, status }) => id === "cleo" && status !== "left"), "cleo has not left");
});

Deno.test("agent: errors name the fields of the file, and not the options of the library", async () => {
  const open = await run(["agent", "--cluster", "x", "--hostname", "10.1.1.1", "--advertise", "a b"]);
  assertEquals(open.code, 2);
  assertMatch(
    open.errors,
    /`keysFile` must be given .* Allowed: `keysFile` \(--keys-file, HEARSAY_KEYS\), or `insecure: true`/,
  );
  assertMatch(open.errors, /`advertise` must be `host:port`, or a URL/);
});

Deno.test("command: --json makes JSON of errors of the command line, and `simulate` refuses it", async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["get", "--json"], /^missing required argument 'key'$/],
    [["nope", "--json"], /^unknown command 'nope' \(Did you mean top\?\)$/],
    [["members", "--json", "--wach"], /^unknown option '--wach' \(Did you mean --watch\?\)$/],
    [["simulate", "--json", "--", "--seeds", "1"], /^unknown option '--json'$/],
  ];
  for (const [args, pattern] of cases) {
    const { code, output, errors } = await run(args);
    const { error, exitCode } = JSON.parse(errors);
    assertMatch(error, pattern);
    assertEquals([code, exitCode, output], [2, 2, ""]);
  }
  // The arguments after -- belong to the simulator.
  assertEquals(
    (await run(["nope", "--", "--json"])).errors,
    "hearsay: unknown command 'nope' (Did you mean top?)\n",
  );
});

Deno.test("errors: a refusal for a key or a token says which flag to give", async () => {
  const key = await newClusterKey();
  await using node = await member({ id: "ada", authentication: { keys: [key] } });
  await using folder = await folderWith({ keys: key, others: await newClusterKey() });
  const at = ["--at", node.address];
  const orders = [...at, "--cluster", "orders"];
  const refused = async (args: readonly string[]) => {
    const { code, errors } = await run(args);
    assertEquals(code, 4);
    assert(!/authentication|this member|ClientRefused/.test(errors), errors);
    return errors;
  };
  assertMatch(
    await refused(["members", ...at]),
    /asks for a key \(401\): give --keys-file <file>.*--cluster <name>/,
  );
  const wrongToken = await refused(["members", ...at, "--token", "garbage"]);
  assertMatch(wrongToken, /refused the token \(401\): .* `hearsay token` makes it\.$/m);
  assert(!wrongToken.includes("doctor"), wrongToken);
  assertMatch(
    await refused(["members", ...orders, "--keys-file", `${folder.path}/others`]),
    /refused the key \(401\): .* `hearsay doctor` looks for the fault\.$/m,
  );
  await using open = await member({ id: "ben" });
  assertMatch(
    await refused([
      "members",
      "--at",
      open.address,
      "--cluster",
      "orders",
      "--keys-file",
      `${folder.path}/keys`,
    ]),
    /refused this command \(403\): it may have no keys, and the command gives some\./,
  );
  const path = await run(["members", "--at", `${open.address}/nowhere`]);
  assertMatch(path.errors, /Check the port and the path; --path <name> is the member's `gossipActorName`\./);
});

Deno.test("errors: an untrusted certificate names --ca", async () => {
  const authority = await Authority.make();
  await using node = await member({ id: "ada", tls: await authority.sign() });
  const { code, errors } = await run(["members", "--at", node.address]);
  assertEquals(code, 3);
  assertMatch(errors, /UnknownIssuer.* --ca must name a file with its authority\./);
});

Deno.test("errors: an empty key or id is exit code 2, and nothing is said of changes", async () => {
  for (const command of ["get", "seen", "watch", "explain"]) {
    const { code, errors } = await run([command, ""]);
    assertMatch(errors, /^hearsay: The (key must have 1 to 1024 bytes; got 0|id must not be empty; .*)\.\n$/);
    assertEquals(code, 2);
  }
  assertEquals((await run(["set", "", "1"])).code, 2);
  assertEquals((await run(["get", "k".repeat(1_025)])).code, 2);
});

Deno.test("events and watch: end with exit code 3 and a sentence when the asked member leaves", async () => {
  for (const args of [["events", "GossipUpdate"], ["watch", "k"]]) {
    const node = await member({ id: "ada" });
    node.setState("k", 1);
    const terminal = new FakeTerminal();
    const running = main([...args, "--at", node.address], terminal);
    // A stream of events prints nothing at its start.
    for (let n = 0; terminal.output === ""; n++) {
      node.setState("k", n);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await node.stop();
    assertEquals(await running, 3, terminal.errors);
    assertEquals(terminal.errors, "hearsay: The asked member, ada, has left; ask another one with --at.\n");
  }
});
