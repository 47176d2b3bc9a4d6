/**
 * Node and Bun from npm, and a project of theirs with the package of `deno task pack`.
 *
 * @module
 */

import { pack } from "../../../tools/pack.ts";
import { Program } from "../program.ts";

const ROOT = decodeURIComponent(new URL("../../../", import.meta.url).pathname);
/** The downloads: programs, and npm's own cache. Git ignores it. */
const CACHE = `${ROOT}.tmp/runtimes`;
/** The programs, each in one exact version. */
const PACKAGES: readonly string[] = [
  "@types/node@24.10.1",
  "bun@1.4.5",
  "node22@npm:node@22.23.3",
  "node24@npm:node@24.21.0",
  "typescript@5.9.3",
];
/** The limit of a download, in milliseconds. */
const DOWNLOAD_MS = 240_000;

/** The programs of the runtimes, by name. */
export const RUNTIMES = {
  "Node 22": `${CACHE}/node_modules/node22/bin/node`,
  "Node 24": `${CACHE}/node_modules/node24/bin/node`,
  "Bun": `${CACHE}/node_modules/bun/bin/bun.exe`,
} as const;

/** A runtime's name. */
export type RuntimeName = keyof typeof RUNTIMES;

/** The compiler, and the types of Node. */
export const TSC: string = `${CACHE}/node_modules/typescript/bin/tsc`;
/** The folder with the types of Node. */
export const TYPES: string = `${CACHE}/node_modules/@types`;

/** A folder with the package installed, as a project of Node or Bun has it. */
export interface Project {
  readonly folder: string;
}

/** Downloads the programs and installs the package; or returns why not. */
export async function prepare(): Promise<Project | { readonly why: string }> {
  try {
    await Deno.mkdir(CACHE, { recursive: true });
    const wanted = PACKAGES.join(" ");
    if (await Deno.readTextFile(`${CACHE}/ready`).catch(() => "") !== wanted) {
      await Deno.writeTextFile(`${CACHE}/package.json`, '{ "private": true }');
      await npm(CACHE, ["install", ...PACKAGES]);
      for (const program of Object.values(RUNTIMES)) await output(program, ["--version"], { folder: CACHE });
      await Deno.writeTextFile(`${CACHE}/ready`, wanted);
    }
    return { folder: await install() };
  } catch (error) {
    const [first = ""] = (error as Error).message.trim().split("\n");
    return { why: `Node and Bun cannot be had from npm: ${first}` };
  }
}

/** Packs this checkout, and installs it without the network. */
async function install(): Promise<string> {
  const file = await pack(`${CACHE}/hearsay.tgz`);
  const folder = await Deno.makeTempDir({ prefix: "hearsay_project_" });
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  await Deno.writeTextFile(`${folder}/package.json`, '{ "private": true, "type": "module" }');
  try {
    await npm(folder, ["install", "--offline", file]);
  } catch {
    // The first time, the dependencies are not in npm's cache.
    const warm = await Deno.makeTempDir({ prefix: "hearsay_warm_" });
    await Deno.writeTextFile(`${warm}/package.json`, '{ "private": true }');
    await npm(warm, ["install", file]).finally(() => Deno.remove(warm, { recursive: true }));
    await npm(folder, ["install", "--offline", file]);
  }
  await Deno.copyFile(new URL("member.ts", import.meta.url), `${folder}/member.ts`);
  return folder;
}

async function npm(folder: string, args: readonly string[]): Promise<void> {
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error", `--cache=${CACHE}/npm`];
  await output("npm", [...args, ...quiet], { folder });
}

/** The standard output of a program. Throws with its errors if it fails. */
export async function output(
  command: string,
  args: readonly string[],
  { folder }: { readonly folder: string },
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd: folder,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(DOWNLOAD_MS),
  }).output();
  const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)) as [string, string];
  if (!success) throw new Error(`${errors}${text}` || `${command} failed`);
  return text;
}

/** Starts `member.ts` in a runtime. */
export function memberIn(name: RuntimeName, { folder }: Project, options: object): Program {
  return new Program({ command: RUNTIMES[name], args: ["member.ts", JSON.stringify(options)], folder });
}

/** The address of a member that listens. */
export async function addressOf(member: Program): Promise<string> {
  return (await member.until(/"listening","address":"(ws.+?)"/))[1]!;
}
