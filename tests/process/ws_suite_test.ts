import { assert, assertEquals } from "../../deps/std_assert.ts";

const ROOT = new URL("../../", import.meta.url);
/** The tests of transport and security that meet a socket. Those of TLS run against Node and Bun themselves. */
const TESTS: readonly string[] = [
  "tests/transport",
  ...[
    "connections",
    "endless_message",
    "keys",
    "limits",
    "one_sided_keys",
    "peer_text",
    "refusal_pace",
    "rotation",
  ]
    .map((name) => `tests/security/${name}_test.ts`),
];
const PERMISSIONS = [
  ...["--no-prompt", "--allow-net=127.0.0.1", "--allow-read", "--allow-write", "--allow-run"],
  "--allow-env=WS_NO_BUFFER_UTIL,WS_NO_UTF_8_VALIDATE",
  // The authorities of Node.
  "--allow-sys",
];
/** Tests that fail there, each with its reason. */
const DIFFERENT: Readonly<Record<string, string>> = {
  "dial: a client that finds another subprotocol after opening closes with 4400 (P1)":
    "`ws` refuses another subprotocol before it opens; the error is `incompatible` too",
  "WebSocket: a token that the server chooses as its subprotocol is not shown":
    "the test's server is Deno's, which does not read subprotocols without a space after the comma",
};

Deno.test("ws suite: the servers and sockets of Node's platform pass the tests of transport and security, with the listed exceptions", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const config = {
      imports: {
        [new URL("transport/web_socket/deno_platform.ts", ROOT).href]:
          new URL("runtimes/suite_platform.ts", import.meta.url).href,
      },
      nodeModulesDir: "none",
      lock: false,
      test: { sanitizeOps: false, sanitizeResources: false },
    };
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify(config));
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["test", ...PERMISSIONS, "--no-check", "--config", `${folder}/deno.json`, ...TESTS],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(300_000),
    }).output();
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    const failed = text.matchAll(/^(.+) \.\.\. FAILED/gm).map(([, name = ""]) => name);
    assertEquals([...failed].sort(), Object.keys(DIFFERENT).sort(), text.slice(-20_000));
    const passed = Number(/ \| (\d+) passed/.exec(text)?.[1]);
    assert(passed > 200, `${passed} passed`);
    const upgrades = text.matchAll(/^SUITE .*"upgrades":(\d+)/gm).map(([, count]) => Number(count));
    assert(upgrades.reduce((sum, count) => sum + count, 0) > 250, text.slice(-5_000));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
