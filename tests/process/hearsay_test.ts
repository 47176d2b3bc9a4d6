// The command `hearsay` as processes: members run by it, faults that only processes have, a real terminal.

import { assert, assertEquals, assertMatch } from "../../deps/std_assert.ts";
import { Authority } from "../security/certificates.ts";
import { freePorts } from "./ports.ts";
import { eventually, Program } from "./program.ts";

const isTerminalToBeHad = await new Deno.Command("script", { args: ["--version"] }).output()
  .then(({ success }) => success, () => false);

const EVERYTHING = ["--allow-net=127.0.0.1", "--allow-read", "--allow-env", "--allow-run"];

/** Starts the command with these permissions. */
function hearsay(
  args: readonly string[],
  { permissions = EVERYTHING, onTerminal = false, env = {} }: {
    readonly permissions?: readonly string[];
    readonly onTerminal?: boolean;
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Program {
  return new Program({
    args: ["run", "--no-prompt", "--no-check", ...permissions, "cli.ts", ...args],
    onTerminal,
    // CI sets NO_COLOR.
    env: { HEARSAY_AT: "", NO_COLOR: "", ...env },
  });
}

/** Runs the command to its end. */
async function run(args: readonly string[], options: Parameters<typeof hearsay>[1] = {}) {
  await using program = hearsay(args, options);
  const { code } = await program.ended();
  return { code, lines: program.lines, errors: program.errors };
}

/** Starts a member, and resolves when it listens. */
async function agent(id: string, port: number, args: readonly string[] = []): Promise<Program> {
  const program = hearsay(["agent", "--cluster", "orders", "--id", id, "--port", String(port), ...args]);
  await program.until(/listens on/);
  return program;
}

async function seesAll(at: string, count: number): Promise<void> {
  await eventually(`${at} sees ${count}`, async () => {
    const { lines } = await run(["members", "--json", "--at", at]);
    const { members } = JSON.parse(lines[0] ?? '{"members":[]}');
    return members.filter(({ status }: { status: string }) => status === "alive").length === count;
  });
}

async function fileWith(text: string) {
  const path = await Deno.makeTempFile({ suffix: ".yaml" });
  await Deno.writeTextFile(path, text);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path) };
}

Deno.test("hearsay: lists the members of `agent`, sets and reads a key, and a member leaves at a signal", async () => {
  const [one, two] = freePorts(2) as [number, number];
  const at = `ws://127.0.0.1:${one}`;
  await using _ada = await agent("ada", one);
  await using ben = await agent("ben", two, ["--seed", at, "--read-only"]);
  await seesAll(at, 2);
  assertEquals((await run(["set", "version", '"1.4"', "--at", at])).code, 0);
  const got = await run(["get", "version", "--member", "ada", "--at", `ws://127.0.0.1:${two}`]);
  assertEquals([got.code, got.lines], [0, ['"1.4"']]);
  const refused = await run(["set", "version", "1", "--at", `ws://127.0.0.1:${two}`]);
  assertEquals(refused.code, 4);
  assertMatch(refused.errors, /^hearsay: This member lets no observer set its keys;.*\n$/);
  ben.kill("SIGTERM");
  assertEquals((await ben.ended()).code, 0);
  const { lines } = await run(["members", "--at", at]);
  assertMatch(lines.join("\n"), /^ben +left/m);
  assertEquals((await run(["members", "--at", `ws://127.0.0.1:${two}`])).code, 3);
});

Deno.test("doctor: finds a member that a peer blocks because the member's process is suspended", async () => {
  const [one, two] = freePorts(2) as [number, number];
  const config = "cluster: orders\ngossipInterval: 100\nheartbeatExpiration: 1500\n";
  await using file = await fileWith(`${config}id: ben\nport: ${two}\nseeds: ["ws://127.0.0.1:${one}"]\n`);
  await using common = await fileWith(config);
  await using _ada = await agent("ada", one, ["--config", common.path]);
  await using ben = await agent("ben", two, ["--config", file.path]);
  await seesAll(`ws://127.0.0.1:${one}`, 2);
  ben.kill("SIGSTOP");
  await eventually("ada blocks ben", async () => {
    const { lines } = await run(["members", "--at", `ws://127.0.0.1:${one}`]);
    return /ben +failed: expired/.test(lines.join("\n"));
  });
  const { code, lines } = await run(["doctor", "--config", file.path]);
  assertEquals(code, 1, lines.join("\n"));
  assertMatch(lines[0]!, /^Fault: blocked\. "ada" blocks "ben" \(expired\)/);
  ben.kill("SIGCONT");
});

Deno.test("doctor: asks another member and finds a process that hangs although all members list it as alive", async () => {
  const [one, two, three] = freePorts(3) as [number, number, number];
  await using file = await fileWith("cluster: orders\ngossipInterval: 100\nheartbeatExpiration: 600000\n");
  const seed = ["--config", file.path, "--seed", `ws://127.0.0.1:${one}`];
  await using _ada = await agent("ada", one, ["--config", file.path]);
  await using ben = await agent("ben", two, seed);
  await using _cleo = await agent("cleo", three, seed);
  await seesAll(`ws://127.0.0.1:${three}`, 3);
  ben.kill("SIGSTOP");
  await eventually("the doctor names ben", async () => {
    const { code, lines } = await run(["doctor", "--at", `ws://127.0.0.1:${three}`]);
    return code === 1 && /^Fault: no answer\. "ben" at \S+: .* sends nothing/.test(lines[0]!);
  });
  const { lines } = await run(["members", "--at", `ws://127.0.0.1:${three}`]);
  assertMatch(lines.join("\n"), /ben +alive/);
  ben.kill("SIGCONT");
});

Deno.test("doctor: names the process that hangs, and not the isolation of the other member that it causes", async () => {
  const [one, two] = freePorts(2) as [number, number];
  await using file = await fileWith("cluster: orders\ngossipInterval: 100\nheartbeatExpiration: 60000\n");
  await using ada = await agent("ada", one, ["--config", file.path]);
  await using ben = await agent("ben", two, ["--config", file.path, "--seed", `ws://127.0.0.1:${one}`]);
  await seesAll(`ws://127.0.0.1:${two}`, 2);
  ada.kill("SIGSTOP");
  // A third of `heartbeatExpiration`.
  await ben.until(/hears no other member/, { withinMs: 40_000 });
  const { code, lines } = await run(["doctor", "--at", `ws://127.0.0.1:${two}`]);
  assertEquals(code, 1, lines.join("\n"));
  assertMatch(lines[0]!, /^Fault: no answer\. "ada" at \S+: .* sends nothing/);
  assertMatch(lines.join("\n"), /^ {2}no {2}member {6}This member is isolated/m);
  ada.kill("SIGCONT");
});

Deno.test("doctor: examines the members and seeds of a member that is alone, and names one that crashed", async () => {
  const [one, two, three] = freePorts(3) as [number, number, number];
  const [adaAt, benAt] = [`ws://127.0.0.1:${one}`, `ws://127.0.0.1:${two}`];
  await using file = await fileWith("cluster: orders\ngossipInterval: 100\nheartbeatExpiration: 3000\n");
  const config = ["--config", file.path];
  await using ada = await agent("ada", one, config);
  await using _ben = await agent("ben", two, [...config, "--seed", adaAt]);
  await using cleo = await agent("cleo", three, [...config, "--seed", adaAt]);
  await seesAll(benAt, 3);
  cleo.kill("SIGKILL");
  await seesAll(benAt, 2);
  ada.kill("SIGKILL");
  await eventually("ben blocks both", async () => {
    const { lines } = await run(["members", "--at", benAt]);
    return lines.filter((line) => /^(ada|cleo) +failed/.test(line)).length === 2;
  });
  const { code, lines } = await run(["doctor", "--at", benAt]);
  const output = lines.join("\n");
  assertEquals(code, 1, output);
  assertMatch(lines[0]!, /^Fault: not listening\. "(ada|cleo)" at \S+: No process listens at /);
  assertMatch(lines[1]!, /^Do: Start it again/);
  assertMatch(output, /^The other members\n {2}no {2}member {6}"ada" at /m);
  assertMatch(output, new RegExp(`^${adaAt}/?\n {2}no {2}TCP {9}No process listens`, "m"));
});

Deno.test("doctor: finds a name that does not resolve", async () => {
  const { code, lines } = await run(["doctor", "--at", "ws://no-such-host.invalid:7000"], {
    permissions: ["--allow-net"],
  });
  assertEquals(code, 1);
  assertMatch(lines[0]!, /^Fault: name does not resolve\. The name no-such-host\.invalid has no address/);
});

Deno.test("doctor --config: asks the running member at its advertised name, or notes that its certificate is for another", async () => {
  const [port] = freePorts(1) as [number];
  const authority = await Authority.make();
  const { cert, key } = await authority.sign({ names: [{ type: "dns", value: "localhost" }] });
  const folder = await Deno.makeTempDir();
  try {
    const file = async (name: string, text: string) => {
      await Deno.writeTextFile(`${folder}/${name}`, text);
      return `${folder}/${name}`;
    };
    // No member is at the seed, so the diagnosis of the member itself follows.
    const settings =
      `cluster: orders\nid: ada\nport: ${port}\nseeds: ["wss://127.0.0.1:1"]\ncaFile: ${await file(
        "ca",
        authority.cert,
      )}\n` +
      `tlsCertFile: ${await file("cert", cert)}\ntlsKeyFile: ${await file("key", key)}\n`;
    const advertising = await file("advertising.yaml", `${settings}advertise: localhost:${port}\n`);
    await using _ada = await agent("ada", port, ["--config", advertising]);
    const permissions = ["--allow-net=127.0.0.1,localhost", "--allow-read"];
    const asked = (await run(["doctor", "--config", advertising], { permissions })).lines.join("\n");
    assertMatch(asked, new RegExp(`^wss://localhost:${port}/gossip\n[^]* cluster +It is "ada" of`, "m"));
    const noted =
      (await run(["doctor", "--config", await file("own.yaml", settings)], { permissions })).lines;
    assertMatch(noted[0]!, /^Fault: not listening\./);
    assertMatch(noted.join("\n"), /^ {2}!! {2}TLS +The certificate of 127\.0\.0\.1:\d+ is for another name/m);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("doctor: finds a missing permission of the command, and of a running member", async () => {
  const [one, two] = freePorts(2) as [number, number];
  await using _ada = await agent("ada", one);
  const own = await run(["doctor", "--at", `ws://127.0.0.1:${one}`], {
    permissions: [`--allow-net=127.0.0.1:${two}`],
  });
  assertEquals(own.code, 1);
  assertMatch(
    own.lines[0]!,
    new RegExp(`^Fault: permission missing\\. .* --allow-net=127\\.0\\.0\\.1:${one}`),
  );
  await using ben = hearsay(
    [
      "agent",
      "--cluster",
      "orders",
      "--port",
      String(two),
      "--seed",
      `ws://127.0.0.1:${one}`,
      "--log",
      "info",
    ],
    { permissions: [`--allow-net=127.0.0.1:${two}`, "--allow-env"] },
  );
  await ben.until(/no member answered at a seed/);
  const { code, lines } = await run(["doctor", "--at", `ws://127.0.0.1:${two}`]);
  assertEquals(code, 1);
  assertMatch(lines[0]!, /^Fault: permission missing\. The seed .* --allow-net=/);
});

Deno.test({
  name: `hearsay: on a terminal \`--watch\` draws in place and with colors, and Ctrl-C ends it with 0${
    isTerminalToBeHad ? "" : " (skipped: there is no program `script`)"
  }`,
  ignore: !isTerminalToBeHad,
  async fn() {
    const [port] = freePorts(1) as [number];
    await using _ada = await agent("ada", port);
    await using watching = hearsay(["members", "--watch", "--at", `ws://127.0.0.1:${port}`], {
      onTerminal: true,
    });
    // deno-lint-ignore no-control-regex -- the colors and the place of the cursor
    await watching.until(/\u001b\[32malive/);
    await watching.type("\u0003");
    assertEquals((await watching.ended()).code, 0);
    await using plain = hearsay(["members", "--at", `ws://127.0.0.1:${port}`], {
      onTerminal: true,
      env: { NO_COLOR: "1" },
    });
    await plain.ended();
    // deno-lint-ignore no-control-regex -- the colors
    assert(!/\u001b\[\d+m/.test(plain.lines.join("\n")), plain.lines.join("\n"));
  },
});

Deno.test("hearsay: the command ends without an error when the reader of its output is gone", async () => {
  const [port] = freePorts(1) as [number];
  await using _ada = await agent("ada", port);
  const script = `"$0" run --no-check ${
    EVERYTHING.join(" ")
  } cli.ts events GossipUpdate --at ws://127.0.0.1:${port} | head -2`;
  await using piped = new Program({ command: "sh", args: ["-c", script, Deno.execPath()] });
  assertEquals((await piped.ended()).code, 0);
  assertEquals([piped.lines.length, piped.errors], [2, ""]);
});

Deno.test("hearsay: the task may write a file for signing; without the permission the error names the flag", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile("deno.json"));
  const permissions = tasks.hearsay.command.split(" ").filter((part: string) => part.startsWith("--allow"));
  const folder = await Deno.makeTempDir();
  try {
    const args = ["keygen", "--signing", `${folder}/key`];
    const without = await run(args, { permissions: ["--allow-net", "--allow-env", "--allow-read"] });
    assertEquals(without.code, 2);
    assertMatch(
      without.errors,
      /^hearsay: --signing must name a file; ".*" cannot be used: The permission --allow-write=.* is missing; .*[^.]\.\n$/,
    );
    const narrow = ["--allow-read", `--allow-write=${folder}`];
    for (const each of [permissions, narrow]) {
      assertEquals((await run(args, { permissions: each })).code, 0);
      await Deno.remove(`${folder}/key`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("hearsay: ends with the documented exit code and one line for each error", async () => {
  const cases: readonly (readonly [number, readonly string[], RegExp])[] = [
    [2, ["memebrs"], /^hearsay: unknown command 'memebrs' \(Did you mean members\?\)\n$/],
    [2, ["members", "--att", "x"], /^hearsay: unknown option '--att' \(Did you mean --at\?\)\n$/],
    [
      2,
      ["members", "--at", "127.0.0.1"],
      /^hearsay: --at must be an address such as .*; got "127\.0\.0\.1"\.\n$/,
    ],
    [
      2,
      ["agent", "--config", "/no/such.yaml"],
      /^hearsay: --config must name a file; .* does not exist\.\n$/,
    ],
    [
      2,
      ["agent", "--port", "7x", "--cluster", "c"],
      /^hearsay: --port must be an integer from 0 to 65535; got "7x"\.\n$/,
    ],
    [
      3,
      ["members", "--at", "ws://127.0.0.1:1"],
      /^hearsay: .* connection refused; no process listens there\.\n$/,
    ],
  ];
  for (const [code, args, pattern] of cases) {
    const ended = await run(args);
    assertEquals(ended.code, code, ended.errors);
    assertMatch(ended.errors, pattern);
  }
});
