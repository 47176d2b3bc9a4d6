import { assertEquals, assertMatch, assertRejects } from "../../deps/std_assert.ts";
import { CommandFailure } from "../../cli/failure.ts";
import { joinOptionsOf, type MemberFlags, memberSettingsOf } from "../../cli/member_settings.ts";
import { ConfigurationError } from "../../mod.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import { signingKeyFromFile } from "../../security/key_sources.ts";
import { Authority } from "../security/certificates.ts";
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
  for (
    const [state, pattern] of [
      [
        "{ a: 2026-01-01 }",
        /^`state` in .*: The key "a" .* got an instance of Date; put a date in quotes\.$/,
      ],
      [
        "{ a: { b: .inf } }",
        /^`state` in .*: The key "a" cannot take this value: value\.b .* got the number Infinity\.$/,
      ],
      ['{ "": 1 }', /^`state` in .*: A key must be a well-formed text that is not empty; got ""\.$/],
      ["{ hearsay.x: 1 }", /^`state` in .* is reserved/],
    ] as const
  ) {
    const error = await assertRejects(
      () => settingsIn(`cluster: orders\nstate: ${state}\n`),
      CommandFailure,
    );
    assertMatch(error.message, pattern);
    assertEquals(error.exitCode, 2);
  }
  await assertRejects(() => settingsIn("cluster: orders\nkeys: [secret]\n"), ConfigurationError);
  await assertRejects(() => settingsIn("cluster: orders\ngossipIntervall: 5\n"), ConfigurationError);
});

Deno.test("member settings: the error of an unknown field suggests and lists the member's fields too", async () => {
  const problem = async (text: string) => {
    const { problems } = await assertRejects(() => settingsIn(text), ConfigurationError);
    return problems[0]!;
  };
  assertEquals((await problem("clustr: orders\n")).allowed, "cluster");
  assertEquals(
    (await problem("cluster: orders\nseedz: []\n")).problem,
    "is not a setting (did you mean seeds?)",
  );
  const { allowed } = await problem("cluster: orders\nxyzzy: 1\n");
  assertMatch(allowed, /\bkeysFile, .*\bgossipInterval, /);
});

Deno.test("member settings: an error of a file names the flag or the field with it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/junk`, "junk\n");
    await Deno.writeTextFile(`${folder}/half.pem`, "-----BEGIN CERTIFICATE-----\nabc\n");
    const cases: readonly (readonly [string, MemberFlags, RegExp])[] = [
      ["keysFile: /nope", {}, /^`keysFile` must name a file; "\/nope" does not exist\.$/],
      ["", { keysFile: "/nope" }, /^--keys-file must name a file; "\/nope" does not exist\.$/],
      [
        `keysFile: ${folder}`,
        {},
        /^`keysFile` must name a file; ".*" cannot be used: Is a directory \(os error 21\)\.$/,
      ],
      [`caFile: ${folder}/junk\ndialOnly: true`, {}, /^`caFile` must name a file; ".*" is no PEM file/],
      [
        "dialOnly: true",
        { ca: `${folder}/half.pem` },
        /^--ca must name a file; ".*" has no valid certificate: /,
      ],
      [`tlsCertFile: ${folder}/junk`, {}, /^`tlsCertFile` must name a file; ".*" is no PEM file/],
      [
        `tlsCertFile: ${folder}/half.pem`,
        {},
        /^`tlsCertFile` and `tlsKeyFile` must be given for a member that listens/,
      ],
      [
        `tlsCertFile: ${folder}/half.pem\ntlsKeyFile: ${folder}/half.pem`,
        {},
        /^`tlsCertFile` must name a file; ".*" has no valid certificate: /,
      ],
      [
        "signingKeyFile: /nope/key",
        {},
        /^`signingKeyFile` must name a file; "\/nope\/key" is in no folder that exists\.$/,
      ],
    ];
    for (const [text, flags, pattern] of cases) {
      const settings = await settingsIn(`cluster: orders\n${text}\n`, flags);
      const error = await assertRejects(() => joinOptionsOf(settings, new FakeTerminal()), CommandFailure);
      assertMatch(error.message, pattern);
      assertEquals(error.exitCode, 2);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("member settings: names of files become keys, certificates and a signing key", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = async (name: string, text: string) => {
      await Deno.writeTextFile(`${folder}/${name}`, text, { mode: 0o600 });
      return `${folder}/${name}`;
    };
    const key = await newClusterKey();
    const authority = await Authority.make();
    const served = await authority.sign();
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
          tlsCertFile: await file("cert.pem", served.cert),
          tlsKeyFile: await file("key.pem", served.key),
          caFile: await file("ca.pem", authority.cert),
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
    assertEquals(tls, { ...served, caCerts: [authority.cert] });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
