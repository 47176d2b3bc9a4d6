/**
 * `deno task pack` makes the npm package for Node and Bun: that of `deno pack`, with exact versions of the dependencies, and
 * without `using`, which Node 22 does not know. An argument is the file to write.
 *
 * @module
 */

import { ts } from "../deps/typescript.ts";

const ROOT = new URL("..", import.meta.url);
/** The entry of the command, which needs Deno and exports nothing. */
const COMMAND = "./cli";
/** The packages that the command alone needs. */
const COMMAND_NEEDS: ReadonlySet<string> = new Set(["commander"]);
/** Parts of the checkout that a program does not load. */
const LEFT_OUT: readonly string[] = [
  "docs",
  "CONTRIBUTING.md",
  "cli",
  "cli.ts",
  "deno.lock",
  "deps/commander*",
  "deps/std_assert.d.ts",
  "deps/std_cli*",
  "deps/std_fmt*",
  "deps/std_streams*",
  "observer/client.ts",
];

/** Makes the package, and returns the path of its file. */
export async function pack(file?: string): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "hearsay_pack_" });
  try {
    const packed = `${folder}/packed.tgz`;
    const ignored = LEFT_OUT.map((path) => `--ignore=${path}`);
    await run(Deno.execPath(), ["pack", "--allow-dirty", "--no-source-maps", ...ignored, "-o", packed]);
    await run("tar", ["-xzf", packed, "-C", folder]);
    await lowerUnder(`${folder}/package`);
    const { name, version } = await finishManifest(`${folder}/package/package.json`);
    const written = file ?? `${name.replace("@", "").replace("/", "-")}-${version}.tgz`;
    await run("tar", ["-czf", written, "--owner=0", "--group=0", "-C", folder, "package"]);
    return written;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Replaces `using` in all modules of a folder. */
async function lowerUnder(folder: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) await lowerUnder(path);
    else if (name.endsWith(".js")) await lower(path);
  }
}

async function lower(path: string): Promise<void> {
  const text = await Deno.readTextFile(path);
  if (!/^\s*(await )?using /m.test(text)) return;
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext },
  });
  await Deno.writeTextFile(path, outputText);
}

/** The parts of `package.json` in use. */
interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
}

/** Gives each dependency its one version, as this checkout has it, and leaves out the command. */
async function finishManifest(path: string): Promise<Manifest> {
  const manifest: Manifest = JSON.parse(await Deno.readTextFile(path));
  const needed = Object.entries(manifest.dependencies).filter(([name]) => !COMMAND_NEEDS.has(name));
  const dependencies = Object.fromEntries(needed.map(([name, range]) => [name, range.replace(/^\^/, "")]));
  const { [COMMAND]: _, ...exports } = manifest.exports;
  const finished = { ...manifest, exports, dependencies, engines: { node: ">=22.3" } };
  await Deno.writeTextFile(path, `${JSON.stringify(finished, null, 2)}\n`);
  return finished;
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`${command} ${args[0]} failed:\n${new TextDecoder().decode(stderr)}`);
}

if (import.meta.main) console.log(await pack(Deno.args[0]));
