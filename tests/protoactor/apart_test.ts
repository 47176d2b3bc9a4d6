import { assert, assertEquals } from "../../deps/std_assert.ts";

const ROOT = new URL("../../", import.meta.url);

/** The modules that a module of this checkout loads, as paths from its root or as specifiers. */
async function loadedBy(entry: string): Promise<string[]> {
  const options = { args: ["info", "--json", entry], cwd: ROOT };
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), options).output();
  assert(success, new TextDecoder().decode(stderr));
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
    readonly modules: readonly { readonly specifier: string }[];
  };
  return modules.map(({ specifier }) => specifier.replace(ROOT.href, ""));
}

Deno.test("imports: a service that imports mod.ts loads neither the protoactor transport nor its packages", async () => {
  const isOfProtoactor = (path: string) => /protoactor|protobuf/.test(path);
  assertEquals((await loadedBy("mod.ts")).filter(isOfProtoactor), []);
  const withIt = (await loadedBy("protoactor/join.ts")).filter(isOfProtoactor);
  assert(withIt.includes("protoactor/transport/transport.ts"), withIt.join());
  assert(withIt.some((path) => path.startsWith("npm:") && path.includes("protobufjs")), withIt.join());
});
