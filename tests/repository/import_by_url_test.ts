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

function contentType(path: string): string {
  return path.endsWith(".ts") ? "application/typescript" : "text/plain";
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
  assertEquals(
    [...checkout.served].filter((path) => /yaml|std_assert|deno\.json|\/(tests|tools|examples)\//.test(path)),
    [],
  );
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
        "discovery/etcd/etcd.ts",
        "discovery/kubernetes/kubernetes.ts",
        "protoactor/discovery.ts",
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
