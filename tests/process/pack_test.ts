// The npm package, without Node.

import { assert, assertEquals } from "../../deps/std_assert.ts";
import { pack } from "../../tools/pack.ts";

/** The modules of a folder, by their paths in it. */
async function modulesIn(root: string, folder = ""): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { name, isDirectory } of Deno.readDir(`${root}/${folder}`)) {
    const path = `${folder}${name}`;
    if (isDirectory) { for (const [each, text] of await modulesIn(root, `${path}/`)) found.set(each, text); }
    else if (name.endsWith(".js")) found.set(path, await Deno.readTextFile(`${root}/${path}`));
  }
  return found;
}

Deno.test("pack: leaves the command out, and every import is in the package or a dependency", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await pack(`${folder}/packed.tgz`);
    const args = ["-xzf", `${folder}/packed.tgz`, "-C", folder];
    assert((await new Deno.Command("tar", { args }).output()).success);
    const modules = await modulesIn(`${folder}/package`);
    const { dependencies, exports } = JSON.parse(await Deno.readTextFile(`${folder}/package/package.json`));
    assertEquals(
      modules.keys().filter((path) => /^cli\b|commander|^observer\/client/.test(path)).toArray(),
      [],
    );
    assertEquals([dependencies.commander, exports["./cli"]], [undefined, undefined]);
    const missing: string[] = [];
    for (const [path, text] of modules) {
      for (const [, from = ""] of text.matchAll(/^(?:import|export|\}).* from "([^"\s]+)";$/gm)) {
        const isThere = from.startsWith(".")
          ? modules.has(new URL(from, `file:///${path}`).pathname.slice(1))
          : from.startsWith("node:") ||
            Object.keys(dependencies).some((name) => from === name || from.startsWith(`${name}/`));
        if (!isThere) missing.push(`${path}: ${from}`);
      }
    }
    assertEquals(missing, []);
    assert(modules.size > 100, String(modules.size));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
