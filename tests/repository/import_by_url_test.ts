import { assert, assertEquals } from "../../deps/std_assert.ts";

const ROOT = new URL("../../", import.meta.url);

/** The checkout over HTTP on loopback, and its requests. */
function serveCheckout() {
  const served = new Set<string>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const path = new URL(request.url).pathname;
    try {
      const text = await Deno.readTextFile(new URL(`.${path}`, ROOT));
      served.add(path);
      return new Response(text, { headers: { "content-type": contentType(path) } });
    } catch {
      return new Response("not found", { status: 404 });
    }
  });
  return {
    served,
    host: `127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** The types that docs/guide.md names for `.ts` files; the files of the checkout get all of them. */
const TYPES = await typesOfGuide();

async function typesOfGuide(): Promise<readonly string[]> {
  const guide = await Deno.readTextFile(new URL("docs/guide.md", ROOT));
  const [, types = ""] = /The host must send `\.ts` files as ([^.]+)\./.exec(guide) ?? [];
  return [...types.matchAll(/`([^`]+)`/g)].map(([, type]) => type!);
}

function contentType(path: string): string {
  return path.endsWith(".ts") ? TYPES[path.length % TYPES.length]! : "text/plain";
}

/** The program of a user with nothing but the URL. */
function program(host: string): string {
  return `import { join } from "http://${host}/mod.ts";
const listen = { port: 0 };
await using one = await join({ cluster: "by-url", listen, seeds: [] });
await using two = await join({ cluster: "by-url", listen, seeds: [one.address] });
one.setState("greeting", { text: "hello" });
for await (const update of two.watch("greeting")) {
  console.log(JSON.stringify(update.value), update.memberId === one.id);
  break;
}
`;
}

Deno.test("import: mod.ts imported by its URL, from an empty folder with no configuration, forms two members that exchange state", async () => {
  await using checkout = serveCheckout();
  const folder = await Deno.makeTempDir();
  try {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--check",
        `--allow-import=${checkout.host}`,
        "--allow-net=127.0.0.1",
        // Another run may have served another checkout at the same port.
        `--reload=http://${checkout.host}`,
        "-",
      ],
      cwd: folder,
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(60_000),
    }).spawn();
    const input = child.stdin.getWriter();
    await input.write(new TextEncoder().encode(program(checkout.host)));
    await input.close();
    const { success, stdout, stderr } = await child.output();
    const decoder = new TextDecoder();
    assert(success, decoder.decode(stderr));
    assertEquals(decoder.decode(stdout), '{"text":"hello"} true\n');
    assertEquals([...Deno.readDirSync(folder)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  assert(checkout.served.has("/mod.ts"));
  assertEquals(new Set([...checkout.served].map(contentType)), new Set(TYPES));
  assertEquals(
    [...checkout.served].filter((path) =>
      /yaml|deps\/ws|node_server|std_assert|deno\.json|\/(tests|tools|examples)\//.test(path)
    ),
    [],
  );
});

/** A `deno.json` in the guide. */
interface ProjectConfig {
  readonly links?: readonly string[];
  readonly imports: Readonly<Record<string, string>>;
}

/** The guide's two `deno.json` files: for imports from a URL, and from a path. */
async function guideConfigs(): Promise<{ readonly byUrl: ProjectConfig; readonly byPath: ProjectConfig }> {
  const guide = await Deno.readTextFile(new URL("docs/guide.md", ROOT));
  const [byUrl, byPath] = [...guide.matchAll(/^```json\n(.*?)^```$/gms)].map(([, json = ""]) =>
    JSON.parse(json)
  );
  return { byUrl, byPath };
}

/** This package's own `deno.json`. */
async function ownConfig() {
  const { name, version, exports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  return { name, version, exports } as {
    readonly name: string;
    readonly version: string;
    readonly exports: Readonly<Record<string, string>>;
  };
}

/** Type checks imports of every export of this package in a project with this `deno.json`. */
async function checkImports(config: ProjectConfig, args: readonly string[] = []): Promise<void> {
  const { name, exports } = await ownConfig();
  const imports = Object.keys(exports).map((path) => `import ${JSON.stringify(name + path.slice(1))};\n`);
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify(config));
    await Deno.writeTextFile(`${folder}/main.ts`, imports.join(""));
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", ...args, "main.ts"],
      cwd: folder,
      env: { NO_COLOR: "1" },
      stdout: "null",
      stderr: "piped",
      signal: AbortSignal.timeout(60_000),
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("docs/guide.md: its import map has every export of this package with its file, and each resolves", async () => {
  const { byUrl } = await guideConfigs();
  const { name, exports } = await ownConfig();
  const base = byUrl.imports[name]!.slice(0, -"mod.ts".length);
  assertEquals(
    byUrl.imports,
    Object.fromEntries(
      Object.entries(exports).map(([path, file]) => [name + path.slice(1), base + file.slice(2)]),
    ),
  );
  await using checkout = serveCheckout();
  const local = (url: string) => url.replace(base, `http://${checkout.host}/`);
  const imports = Object.fromEntries(Object.entries(byUrl.imports).map(([path, url]) => [path, local(url)]));
  await checkImports({ imports }, [
    `--allow-import=${checkout.host}`,
    // Another run may have served another checkout at the same port.
    `--reload=http://${checkout.host}`,
  ]);
});

Deno.test("docs/guide.md: its link to a path resolves every export of this package", async () => {
  const { byPath } = await guideConfigs();
  const { name, version } = await ownConfig();
  assertEquals(byPath.imports, { [name]: `jsr:${name}@${version}` });
  assertEquals(byPath.links?.length, 1);
  await checkImports({ ...byPath, links: [decodeURIComponent(ROOT.pathname)] });
});

/** Type checks of a user's own project: this library's own settings do not apply there. */
const COMPILER_OPTIONS: Readonly<Record<string, Readonly<Record<string, boolean>>>> = {
  "nothing": {},
  "much": {
    exactOptionalPropertyTypes: true,
    isolatedDeclarations: true,
    noFallthroughCasesInSwitch: true,
    noImplicitOverride: true,
    noImplicitReturns: true,
    noUncheckedIndexedAccess: true,
    noUnusedLocals: true,
    noUnusedParameters: true,
    verbatimModuleSyntax: true,
  },
};

for (const [much, compilerOptions] of Object.entries(COMPILER_OPTIONS)) {
  Deno.test(`import: a copy imported by its path passes the type check of a project that asks for ${much}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const modules = [
        "mod.ts",
        "adapters/yjs/awareness.ts",
        "browser/mod.ts",
        "consensus/mod.ts",
        "keys/mod.ts",
        "discovery/etcd/etcd.ts",
        "discovery/kubernetes/kubernetes.ts",
        "discovery/memory/memory.ts",
        "members/mod.ts",
        "maps/mod.ts",
        "messages/broadcast_channel.ts",
        "messages/mod.ts",
        "operations/mod.ts",
        "node/join_ws.ts",
        "protoactor/discovery.ts",
        "roles/etcd_leader.ts",
        "roles/mod.ts",
        "options/yaml.ts",
        "security/cluster_keys.ts",
        "testing/memory.ts",
      ];
      const imports = modules.map((path) => `import ${JSON.stringify(new URL(path, ROOT).href)};\n`);
      await Deno.writeTextFile(`${folder}/main.ts`, imports.join(""));
      await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ compilerOptions }));
      const { success, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["check", "main.ts"],
        cwd: folder,
        env: { NO_COLOR: "1" },
        stdout: "null",
        stderr: "piped",
        signal: AbortSignal.timeout(60_000),
      }).output();
      assert(success, new TextDecoder().decode(stderr));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
