/**
 * Builds the module of pages: `deno task bundle` writes `dist/hearsay.js`, one file of ES2022 syntax with all that a
 * page needs, and `dist/hearsay.js.gz` for servers that send compressed files. With `--print` it prints the module
 * instead.
 *
 * @module
 */

import { build, type Plugin, stop, transform } from "../deps/esbuild.ts";
import { minify } from "../deps/terser.ts";
import { compress } from "./bundle/compress.ts";
import { internalNames } from "./bundle/internal_names.ts";

const ROOT = new URL("..", import.meta.url);
const ENTRY = "browser/mod.ts";
const OUTPUT = "dist/hearsay.js";

/** Modules that a page does not need whole, and the smaller ones in their place. */
const IN_PLACE_OF: ReadonlyMap<string, string> = new Map([
  ["deps/canonicalize.ts", "tools/bundle/canonicalize.ts"],
  ["deps/levenshtein.ts", "tools/bundle/levenshtein.ts"],
  ["discovery/lost_members.ts", "tools/bundle/absent.ts"],
  ["discovery/returning_members.ts", "tools/bundle/absent.ts"],
  ["engine/liveness/entries_for_unversioned.ts", "tools/bundle/entries_for_unversioned.ts"],
  ["engine/liveness/suspicions.ts", "tools/bundle/absent.ts"],
  ["engine/sync/readers.ts", "tools/bundle/reader_memories.ts"],
  ["gossiper/accept_all.ts", "tools/bundle/absent.ts"],
  ["gossiper/actor_counts.ts", "tools/bundle/absent.ts"],
  ["gossiper/crash_watch.ts", "tools/bundle/absent.ts"],
  ["gossiper/dial_limits.ts", "tools/bundle/absent.ts"],
  ["gossiper/explanations.ts", "tools/bundle/absent.ts"],
  ["gossiper/metering.ts", "tools/bundle/absent.ts"],
  ["gossiper/reader_sessions.ts", "tools/bundle/absent.ts"],
  ["gossiper/readers.ts", "tools/bundle/absent.ts"],
  ["gossiper/refused_handshakes.ts", "tools/bundle/absent.ts"],
  ["options/configuration_rules.ts", "tools/bundle/configuration_rules.ts"],
  ["transport/web_socket/destroy.ts", "tools/bundle/absent.ts"],
]);

/** Builds the module. Returns its text. */
async function bundle(): Promise<string> {
  const { href, pathname } = ROOT;
  const inPlace: Plugin = {
    name: "in-place",
    setup(building) {
      building.onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir }) => {
        const target = new URL(path, `file://${resolveDir}/`).href.slice(href.length);
        return { path: decodeURI(pathname) + (IN_PLACE_OF.get(target) ?? target), sideEffects: false };
      });
    },
  };
  const names = await internalNames(ROOT);
  try {
    const { outputFiles } = await build({
      entryPoints: [decodeURI(pathname) + ENTRY],
      bundle: true,
      format: "esm",
      legalComments: "none",
      mangleProps: new RegExp(`^(?:${[...names].join("|")})$`),
      minify: true,
      plugins: [inPlace],
      target: "es2022",
      write: false,
    });
    const { code } = await minify(outputFiles[0]!.text, {
      compress: {
        ecma: 2020,
        hoist_funs: true,
        lhs_constants: false,
        passes: 2,
        pure_getters: true,
        sequences: false,
      },
      mangle: true,
      module: true,
    });
    await assertEs2022(code!);
    return code!;
  } finally {
    await stop();
  }
}

/** Fails if the module has later syntax: that would be written in another way for the earlier target. */
async function assertEs2022(code: string): Promise<void> {
  const written = await Promise.all(["es2022", "esnext"].map((target) => transform(code, { target })));
  if (written[0]!.code !== written[1]!.code) throw new Error("The module has syntax later than ES2022.");
}

if (import.meta.main) {
  const text = await bundle();
  if (Deno.args.includes("--print")) console.log(text);
  else {
    await Deno.mkdir(new URL("dist", ROOT), { recursive: true });
    const bytes = new TextEncoder().encode(text);
    const compressed = await compress(text);
    await Deno.writeFile(new URL(OUTPUT, ROOT), bytes);
    await Deno.writeFile(new URL(`${OUTPUT}.gz`, ROOT), compressed);
    console.log(`${OUTPUT}: ${bytes.length} bytes. ${OUTPUT}.gz: ${compressed.length} bytes.`);
  }
}
