import { assertEquals, assertMatch, assertRejects } from "../../deps/std_assert.ts";
import { HearsayError } from "../../mod.ts";
import { signingKeyFromFile } from "../../security/cluster_keys.ts";

Deno.test("signingKeyFromFile: starters that make one signing key file at the same time agree on its key, and leave no other file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/key.json`;
    const made = await Promise.all(Array.from({ length: 8 }, () => signingKeyFromFile(file)));
    const idOf = async ({ publicKey }: CryptoKeyPair) => (await crypto.subtle.exportKey("jwk", publicKey)).x;
    assertEquals(new Set(await Promise.all(made.map(idOf))).size, 1);
    assertEquals((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name), ["key.json"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({
  name:
    "signingKeyFromFile: a signing key file that others may read is refused, and the error says what to do",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const file = `${folder}/key.json`;
      await signingKeyFromFile(new URL(`file://${file}`));
      for (const mode of [0o644, 0o640, 0o604]) {
        await Deno.chmod(file, mode);
        const error = await assertRejects(
          () => signingKeyFromFile(file),
          HearsayError,
          `has ${mode.toString(8)}`,
        );
        assertMatch(error.message, /chmod 600/);
      }
      await Deno.chmod(file, 0o400);
      await signingKeyFromFile(file);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
