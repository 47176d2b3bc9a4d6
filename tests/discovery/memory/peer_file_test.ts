import { assertEquals, assertRejects, assertStringIncludes } from "../../../deps/std_assert.ts";
import { HearsayError } from "../../../common/errors.ts";
import { MAX_FILE_BYTES, PeerFile } from "../../../discovery/memory/peer_file.ts";

/** Runs a test with a folder of its own. */
async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function modeOf(path: string): Promise<string> {
  return ((await Deno.stat(path)).mode! & 0o777).toString(8);
}

Deno.test("peer file: creates its folder, and is readable and writable by its owner alone", () =>
  inFolder(async (folder) => {
    const path = `${folder}/state/deep/peers.json`;
    const file = await PeerFile.open(path);
    assertEquals(await file.read(), undefined);
    await file.write("text");
    assertEquals(await file.read(), "text");
    file.close();
    assertEquals([await modeOf(`${folder}/state/deep`), await modeOf(path), await modeOf(`${path}.lock`)], [
      "700",
      "600",
      "600",
    ]);
  }));

Deno.test("peer file: cannot be opened twice, even in one process", () =>
  inFolder(async (folder) => {
    const path = `${folder}/peers.json`;
    const file = await PeerFile.open(path);
    const error = await assertRejects(() => PeerFile.open(path), HearsayError);
    assertEquals(error.code, "busy");
    file.close();
    (await PeerFile.open(path)).close();
  }));

Deno.test("peer file: is replaced as a whole, over the remains of a killed process, and through no link", () =>
  inFolder(async (folder) => {
    const path = `${folder}/peers.json`;
    await Deno.writeTextFile(`${folder}/other.txt`, "untouched");
    await Deno.symlink(`${folder}/other.txt`, `${path}.new`);
    const file = await PeerFile.open(path);
    await file.write("one");
    // A reader with the former file open reads the former text to its end.
    using former = await Deno.open(path);
    await file.write("another");
    const bytes = new Uint8Array(16);
    assertEquals(new TextDecoder().decode(bytes.subarray(0, await former.read(bytes) ?? 0)), "one");
    assertEquals(await file.read(), "another");
    assertEquals(await Deno.readTextFile(`${folder}/other.txt`), "untouched");
    file.close();
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
      "other.txt",
      "peers.json",
      "peers.json.lock",
    ]);
  }));

Deno.test("peer file: a file that cannot be trusted is refused with the reason, and stays as it is", () =>
  inFolder(async (folder) => {
    const path = `${folder}/peers.json`;
    const file = await PeerFile.open(path);
    const refused = async () => (await assertRejects(() => file.read(), HearsayError)).message;
    await Deno.mkdir(path);
    assertStringIncludes(await refused(), "must be a plain file");
    await Deno.remove(path);
    await Deno.writeTextFile(path, "x".repeat(MAX_FILE_BYTES));
    assertEquals((await file.read())!.length, MAX_FILE_BYTES);
    await Deno.writeTextFile(path, "x".repeat(MAX_FILE_BYTES + 1));
    assertStringIncludes(await refused(), "must have at most 262144 bytes; it has more.");
    await Deno.writeFile(path, Uint8Array.of(0xff, 0xfe));
    assertStringIncludes(await refused(), "must have text in UTF-8");
    await Deno.writeTextFile(path, "text");
    await Deno.chmod(path, 0o620);
    assertStringIncludes(await refused(), "must be writable by its owner alone (mode 600); it has mode 620.");
    await Deno.chmod(path, 0o644);
    assertEquals(await file.read(), "text");
    await Deno.writeTextFile(path, "");
    assertEquals(await file.read(), undefined);
    file.close();
  }));

for (const missing of ["read", "write"] as const) {
  Deno.test({
    name:
      `peer file: without the permission to ${missing} its folder the file is refused, and no prompt appears`,
    permissions: { read: missing === "write", write: missing === "read" },
    fn: async () => {
      const error = await assertRejects(() => PeerFile.open("state/peers.json"), Deno.errors.NotCapable);
      assertStringIncludes(error.message, `--allow-${missing}=state/ is missing; it was not asked for.`);
      const inPresent = await assertRejects(() => PeerFile.open("peers.json"), Deno.errors.NotCapable);
      assertStringIncludes(inPresent.message, `--allow-${missing}=. is missing`);
    },
  });
}
