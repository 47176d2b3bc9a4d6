import { assertEquals, assertMatch, assertRejects } from "../../deps/std_assert.ts";
import { CommandFailure } from "../../cli/failure.ts";
import { joinOptionsOf, type MemberFlags, memberSettingsOf } from "../../cli/member_settings.ts";
import { ConfigurationError } from "../../mod.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import { signingKeyFromFile } from "../../security/key_sources.ts";
import { FakeTerminal } from "./terminal.ts";

async function settingsIn(text: string, flags: MemberFlags = {}) {
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    await Deno.writeTextFile(file, text);
    return await memberSettingsOf({ ...flags, config: file });
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("member settings: flags win over the file, and the gossiper's settings stay as they are", async () => {
  const text =
    "cluster: orders\nport: 7001\nseeds: [ws://127.0.0.1:7002]\nstate: { role: a }\ngossipInterval: 200\n";
  const settings = await settingsIn(text, { port: "7003", id: "ada" });
  assertEquals([settings.cluster, settings.port, settings.id], ["orders", 7_003, "ada"]);
  assertEquals([settings.seeds, settings.state, settings.config], [
    ["ws://127.0.0.1:7002"],
    { role: "a" },
    { gossipInterval: 200 },
  ]);
  const options = await joinOptionsOf(settings, new FakeTerminal());
  assertEquals(options.listen, { hostname: "127.0.0.1", port: 7_003 });
});

Deno.test("member settings: an address to advertise is a host and a port, or a URL", async () => {
  const advertised = async (advertise: string) => {
    const settings = await memberSettingsOf({ cluster: "orders", advertise });
    return (await joinOptionsOf(settings, new FakeTerminal())).advertise;
  };
  assertEquals(await advertised("10.0.0.1:7000"), { host: "10.0.0.1", port: 7_000 });
  assertEquals(await advertised("[::1]:7000"), { host: "::1", port: 7_000 });
  assertEquals(await advertised("wss://example.com/a"), "wss://example.com/a");
});

Deno.test("member settings: errors say what must be, and what was given", async () => {
  const cases: readonly (readonly [string, MemberFlags, RegExp])[] = [
    ["cluster: orders\nport: x\n", {}, /^`port` in .* must be an integer from 0 to 65535; got "x"\.$/],
    ["cluster: orders\nseeds: no\n", {}, /^`seeds` in .* must be a list of addresses/],
    ["port: 1\n", {}, /^The cluster's name must be given/],
    ["cluster: orders\n", { seed: ["localhost"] }, /^--seed must be an address/],
  ];
  for (const [text, flags, pattern] of cases) {
    const error = await assertRejects(() => settingsIn(text, flags), CommandFailure);
    assertMatch(error.message, pattern);
    assertEquals(error.exitCode, 2);
  }
  await assertRejects(() => settingsIn("cluster: orders\nkeys: [secret]\n"), ConfigurationError);
  await assertRejects(() => settingsIn("cluster: orders\ngossipIntervall: 5\n"), ConfigurationError);
});

Deno.test("member settings: names of files become keys, certificates and a signing key", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = async (name: string, text: string) => {
      await Deno.writeTextFile(`${folder}/${name}`, text, { mode: 0o600 });
      return `${folder}/${name}`;
    };
    const key = await newClusterKey();
    const settings = await memberSettingsOf({
      config: await file(
        "member.yaml",
        JSON.stringify({
          cluster: "orders",
          clockTolerance: 7_000,
          aliases: ["wss://orders.example"],
          keysFile: await file("keys", key),
          // It is made if there is none.
          signingKeyFile: `${folder}/signing`,
          tlsCertFile: await file("cert.pem", "cert"),
          tlsKeyFile: await file("key.pem", "key"),
          caFile: await file("ca.pem", "ca"),
        }),
      ),
    });
    const { authentication, tls } = await joinOptionsOf(settings, new FakeTerminal());
    const { signingKey, ...rest } = authentication!;
    assertEquals(rest, {
      keys: [key],
      aliases: ["wss://orders.example"],
      clockTolerance: 7_000,
      sign: true,
    });
    const made = await signingKeyFromFile(`${folder}/signing`);
    const raw = (key: CryptoKey) => crypto.subtle.exportKey("raw", key);
    assertEquals(await raw(signingKey!.publicKey), await raw(made.publicKey));
    assertEquals(tls, { cert: "cert", key: "key", caCerts: ["ca"] });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
