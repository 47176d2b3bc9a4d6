import { assertEquals, assertMatch, assertRejects } from "../../deps/std_assert.ts";
import { HearsayError } from "../../mod.ts";
import { keysFromFile, newClusterKey, signingKeyFromFile } from "../../security/cluster_keys.ts";

/** The texts of the errors of these calls, in a process with these permissions. */
async function errorsWith(permissions: readonly string[], calls: readonly string[]): Promise<string[]> {
  const importOf = (names: string, file: string) =>
    `import { ${names} } from ${JSON.stringify(new URL(file, import.meta.url).href)};`;
  const code = `
    ${importOf("keysFromEnvironment, keysFromFile, signingKeyFromFile", "../../security/cluster_keys.ts")}
    ${importOf("loadConfig", "../../options/yaml.ts")}
    const texts = [];
    for (const call of [${calls.map((call) => `() => ${call}`).join()}]) {
      try { await call(); texts.push(""); } catch (error) { texts.push(String(error)); }
    }
    console.log(JSON.stringify(texts));`;
  const main = `data:text/javascript,${encodeURIComponent(code)}`;
  const args = ["run", "--no-prompt", "--no-check", ...permissions, main];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test("key sources: without its permission, each is refused before Deno could prompt, and the error names the flag", async () => {
  const folder = await Deno.makeTempDir();
  const missing = (flag: string) =>
    `NotCapable: The permission ${flag} is missing; it was not asked for. Grant it at the start.`;
  try {
    const none = [
      `keysFromFile("${folder}/keys")`,
      `signingKeyFromFile(new URL("file://${folder}/key"))`,
      `keysFromEnvironment("SOME_KEYS")`,
      `loadConfig("${folder}/config.yaml")`,
    ];
    assertEquals(await errorsWith([], none), [
      missing(`--allow-read=${folder}/keys`),
      missing(`--allow-read=${folder}/key`),
      missing("--allow-env=SOME_KEYS"),
      missing(`--allow-read=${folder}/config.yaml`),
    ]);
    const make = [`signingKeyFromFile("${folder}/key")`];
    const ofFile = [`--allow-read=${folder}/key`, `--allow-write=${folder}/key`];
    assertEquals(await errorsWith(ofFile, make), [missing(`--allow-read=${folder}/`)]);
    assertEquals(await errorsWith([`--allow-read=${folder}`], make), [missing(`--allow-write=${folder}/`)]);
    assertEquals(await errorsWith([`--allow-read=${folder}`, `--allow-write=${folder}`], make), [""]);
    // An existing file needs no other permission.
    assertEquals(await errorsWith([`--allow-read=${folder}/key`], make), [""]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

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

Deno.test({
  name:
    "keysFromFile: a file of cluster keys that others may write is refused, and the error says what to do",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const [file, link] = [`${folder}/keys`, `${folder}/link`];
      const key = await newClusterKey();
      await Deno.writeTextFile(file, key);
      await Deno.symlink(file, link);
      for (const mode of [0o666, 0o664, 0o602]) {
        await Deno.chmod(file, mode);
        for (const path of [file, link]) {
          const has = `has ${mode.toString(8)}. Check that all keys in it are yours, and \`chmod 600\` it.`;
          await assertRejects(() => keysFromFile(path), HearsayError, has);
        }
      }
      // Mounted secrets of Kubernetes have mode 644, or 640 with a group; those of Docker have mode 444.
      for (const mode of [0o600, 0o400, 0o644, 0o640, 0o444]) {
        await Deno.chmod(file, mode);
        for (const path of [file, link]) assertEquals(await keysFromFile(path), [key]);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
