import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "../../deps/std_assert.ts";
import { KeyBindings } from "../../security/key_bindings.ts";
import { idOfKey } from "../../contracts/signing.ts";
import { ConfigurationError, HearsayError, type JoinOptions } from "../../mod.ts";
import { authorityOf } from "../../common/canonical_address.ts";
import { ed25519Signing, newSigningKey, signingKeyFromFile } from "../../security/cluster_keys.ts";
import { entry } from "../engine/harness.ts";
import { forge, helloOf, Insider, jtiOf, Wire } from "./attacker.ts";
import { KEY, member, withInsider } from "./signing_members.ts";
import { hears, next } from "./waits.ts";

Deno.test("signatures: an id that is a public key belongs to it, even if another member sends its first state", async () => {
  await using cleo = await member();
  await using insider = await Insider.withHandshake(cleo.address, { key: KEY });
  const { publicKey } = await ed25519Signing(await newSigningKey());
  const refused = next(cleo, "SignatureRefused");
  insider.gossip(
    await insider.forge({
      id: idOfKey(publicKey),
      incarnation: insider.incarnation,
      number: 2,
      entries: [entry("k", 2, 1)],
    }),
  );
  assertEquals((await refused).reason, "key");
});

Deno.test("handshake: a handshake for another member proves nothing, even if the token repeats its jti", async () => {
  await using all = await withInsider();
  const { ada, insider } = all;
  // mallory keeps the insider's hello. The attacker makes a token with the same jti and replays that hello to ada.
  const forMallory = await forge({ key: KEY, id: insider.id, authority: "127.0.0.1:1" });
  const greeting = await insider.hello(forMallory);
  const claims = { jti: jtiOf(forMallory) };
  const token = await forge({ key: KEY, id: insider.id, authority: authorityOf(ada.address)!, claims });
  await using replaying = await Wire.opened(ada.address, { token });
  replaying.say(greeting);
  assertEquals((await replaying.closed).code, 4401);
});

Deno.test("handshake: a handshake proves the key in it for one connection", async () => {
  await using all = await withInsider();
  const { ada, ben } = all;
  // With ben's id and the insider's key.
  const token = await forge({ key: KEY, id: ben.member.id, authority: authorityOf(ada.address)! });
  await using posing = await Wire.opened(ada.address, { token });
  const helloAsBen = await all.insider.hello(token, {
    member: { ...helloOf(ben.member.id).member },
  });
  posing.say(helloAsBen);
  const refusal = await posing.hears("error");
  assertEquals([refusal.code, refusal.incarnation], ["id_conflict", undefined]);
  // With ben's key, and a signature made for another connection.
  const again = await forge({ key: KEY, id: ben.member.id, authority: authorityOf(ada.address)! });
  await using replaying = await Wire.opened(ada.address, { token: again });
  const publicKey = ben.member.id.slice("key-".length);
  replaying.say({ ...helloAsBen, publicKey });
  assertEquals((await replaying.closed).code, 4401);
});

Deno.test("signatures: a member that keeps its id keeps its key: its next incarnation is accepted with that key alone", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/key.json`;
    const signingKey = await signingKeyFromFile(file);
    if (Deno.build.os !== "windows") assertEquals((await Deno.stat(file)).mode! & 0o777, 0o600);
    const start = (key: CryptoKeyPair, seeds: string[] = []) =>
      member({ id: "ben", seeds, authentication: { keys: [KEY], sign: true, signingKey: key } });
    await using ada = await member();
    const first = await start(signingKey, [ada.address]);
    first.setState("k", 1);
    await hears(ada, "ben", 1);
    await first.stop();
    const second = await start(await signingKeyFromFile(file), [ada.address]);
    second.setState("k", 2);
    await hears(ada, "ben", 2);
    await second.stop();
    await using third = await start(await newSigningKey(), [ada.address]);
    const failed = await next(third, "SeedFailed");
    assertMatch(String(failed.error), /is bound to another key/);
    await Deno.writeTextFile(file, "{}");
    await assertRejects(() => signingKeyFromFile(file), HearsayError, "must have a signing key");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("configuration: an id needs a signing key, and the key must be a key pair", async () => {
  const pair = await newSigningKey();
  const cases: readonly (readonly [Partial<JoinOptions>, string])[] = [
    [{ id: "ben" }, "authentication.signingKey"],
    [{ authentication: { keys: [KEY], signingKey: pair } }, "authentication.signingKey"],
    [
      { authentication: { keys: [KEY], sign: true, signingKey: {} as CryptoKeyPair } },
      "authentication.signingKey",
    ],
    [{ authentication: { keys: [KEY], sign: "yes" as never } }, "authentication.sign"],
  ];
  for (const [options, field] of cases) {
    const error = await assertRejects(() => member(options), ConfigurationError);
    assertEquals(error.problems.map((problem) => problem.field), [field]);
  }
});

Deno.test("signatures: bindings are bounded: a known member keeps its key, and the oldest binding of another id is dropped", () => {
  const held = new Set(["held"]);
  const bindings = new KeyBindings({ max: 2, isHeld: (id) => held.has(id) });
  assert(bindings.bind("held", "one"));
  assert(bindings.bind("gone", "two"));
  assert(!bindings.bind("held", "two"));
  assert(bindings.bind("new", "three"));
  assertEquals([bindings.keyOf("held"), bindings.keyOf("gone"), bindings.keyOf("new")], [
    "one",
    undefined,
    "three",
  ]);
  held.add("new");
  assert(!bindings.bind("newer", "four"));
  assertNotEquals(bindings.keyOf(idOfKey("x".repeat(43))), undefined);
});

Deno.test("bindings: no number of members known by hearsay evicts the binding of a member that shook hands (E15)", () => {
  const bindings = new KeyBindings({ max: 2, isHeld: () => false });
  assert(bindings.bind("heard", "one"));
  assert(bindings.bind("heard", "one", { met: true }));
  assert(bindings.bind("met", "two", { met: true }));
  for (let index = 0; index < 10; index++) assert(bindings.bind(`i${index}`, "three"));
  assertEquals([bindings.keyOf("heard"), bindings.keyOf("met"), bindings.keyOf("i9")], [
    "one",
    "two",
    "three",
  ]);
  assert(!bindings.bind("heard", "other", { met: true }));
  // The oldest binding of a met member makes room for one that shakes hands.
  assert(bindings.bind("new", "four", { met: true }));
  assertEquals([bindings.keyOf("heard"), bindings.keyOf("met")], [undefined, "two"]);
});
