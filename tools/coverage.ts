/**
 * `deno task coverage`: runs all tests and fails if less than 95 % of the lines of a folder were run.
 *
 * @module
 */

import { PRODUCT } from "./house_rules.ts";
import { sourceFiles } from "./source_files.ts";

const ROOT = new URL("..", import.meta.url);
const LEAST_PERCENT = 95;

/** The executable lines of a file, and how many of them were run. */
interface Lines {
  readonly found: number;
  readonly hit: number;
}

if (import.meta.main) Deno.exit(await main());

async function main(): Promise<number> {
  const profile = await Deno.makeTempDir({ prefix: "coverage_" });
  try {
    const passed = await deno(["task", "test:full", `--coverage=${profile}`]);
    if (!passed) {
      console.error("The tests failed, so the coverage is not reported.");
      return 1;
    }
    const lcov = `${profile}/lcov.info`;
    if (!await deno(["coverage", "--lcov", `--output=${lcov}`, profile])) return 1;
    const files = parseLcov(await Deno.readTextFile(lcov));
    return report(files, await neverLoaded(files));
  } finally {
    await Deno.remove(profile, { recursive: true });
  }
}

async function deno(args: string[]): Promise<boolean> {
  const child = new Deno.Command(Deno.execPath(), { args, cwd: ROOT, stdin: "null" }).spawn();
  return (await child.status).success;
}

/** The lines of each file in the folders, by its path from the root. */
export function parseLcov(text: string, root: URL = ROOT): Map<string, Lines> {
  const files = new Map<string, Lines>();
  for (const record of text.split("end_of_record")) {
    const number = (field: string) => Number(new RegExp(`^${field}:(\\d+)`, "m").exec(record)?.[1] ?? 0);
    const path = /^SF:(.+)$/m.exec(record)?.[1]?.replace(decodeURIComponent(root.pathname), "");
    if (path === undefined || !PRODUCT.includes(path.split("/")[0] ?? "")) continue;
    files.set(path, { found: number("LF"), hit: number("LH") });
  }
  return files;
}

/** Files with code that no test loads; the coverage profile does not contain them. */
async function neverLoaded(files: ReadonlyMap<string, Lines>): Promise<string[]> {
  const missing: string[] = [];
  for (const folder of PRODUCT) {
    for await (const path of sourceFiles(ROOT, folder)) {
      if (files.has(path)) continue;
      // A file with types alone is never loaded and has no code.
      const module = await import(new URL(path, ROOT).href) as object;
      if (Object.keys(module).length > 0) missing.push(path);
    }
  }
  return missing;
}

function report(files: ReadonlyMap<string, Lines>, missing: readonly string[]): number {
  console.log("");
  const rows = [...files].sort(([a], [b]) => a < b ? -1 : 1);
  for (const [path, lines] of rows) console.log(rowOf(path, lines));
  console.log("");
  const poor = PRODUCT.filter((folder) => {
    const lines = sum(rows.filter(([path]) => path.startsWith(`${folder}/`)).map(([, of]) => of));
    console.log(rowOf(`${folder}/`, lines));
    return percentOf(lines) < LEAST_PERCENT;
  });
  for (const path of missing) console.error(`No test loads ${path}.`);
  for (const folder of poor) console.error(`${folder}/ is below ${LEAST_PERCENT} %.`);
  return missing.length + poor.length === 0 ? 0 : 1;
}

function rowOf(path: string, lines: Lines): string {
  return `${path.padEnd(44)} ${`${lines.hit}/${lines.found}`.padStart(11)} ${
    percentOf(lines).toFixed(1).padStart(6)
  } %`;
}

function percentOf({ found, hit }: Lines): number {
  return found === 0 ? 100 : 100 * hit / found;
}

function sum(all: readonly Lines[]): Lines {
  return all.reduce((a, b) => ({ found: a.found + b.found, hit: a.hit + b.hit }), { found: 0, hit: 0 });
}
