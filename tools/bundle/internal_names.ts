/**
 * The names of properties that may be shortened in the module of pages: those that the engine and the gossiper use among
 * themselves, and that are neither on the wire, nor in the API, nor of the platform.
 *
 * @module
 */

/** The folders of the module. */
const FOLDERS = [
  "browser",
  "common",
  "contracts",
  "discovery",
  "engine",
  "gossiper",
  "node",
  "options",
  "protocol",
  "security",
  "transport",
  "tools/bundle",
];
/** The folders with internal names. */
const INTERNAL = /^(engine|gossiper)\//;
/** Files in these folders whose names are part of the API, of events or of the wire. */
const PUBLIC =
  /^engine\/(events|json|types)\.ts$|^gossiper\/(actor_counts|consensus|contract|departure|gossiper|member_watches|validation|views|watch)\.ts$/;
const NAME = /[A-Za-z_$][\w$]*/g;
/** A name in quotes: code may read a property by it. */
const QUOTED = /["'`]([A-Za-z_$][\w$]*)["'`]/g;
/** A shorter name saves nothing. */
const MIN_LENGTH = 4;

/** Returns the names. */
export async function internalNames(root: URL): Promise<ReadonlySet<string>> {
  const kept = new Set(platformNames());
  const internal = new Set<string>();
  for (const folder of FOLDERS) {
    for await (const path of filesIn(folder, root)) {
      const text = withoutComments(await Deno.readTextFile(new URL(path, root)));
      for (const [, quoted = ""] of text.matchAll(QUOTED)) kept.add(quoted);
      const names = INTERNAL.test(path) && !PUBLIC.test(path) ? internal : kept;
      for (const [name] of text.matchAll(NAME)) if (name.length >= MIN_LENGTH) names.add(name);
    }
  }
  return internal.difference(kept);
}

async function* filesIn(folder: string, root: URL): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
    const path = `${folder}/${name}`;
    if (isDirectory) yield* filesIn(path, root);
    else if (name.endsWith(".ts")) yield path;
  }
}

function withoutComments(text: string): string {
  return text.replace(/\/\*.*?\*\//gs, "").replace(/^\s*\/\/.*$/gm, "");
}

/** The names of all globals, and of the properties of all classes. */
function* platformNames(): Generator<string> {
  const generator = Object.getPrototypeOf(platformNames());
  const iterator = Object.getPrototypeOf([].values());
  const others: unknown[] = [generator, iterator, crypto.subtle];
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    yield name;
    const value: unknown = Reflect.get(globalThis, name);
    others.push(value, Object(value).prototype);
  }
  for (let each of others) {
    while (each !== null && each !== undefined) {
      yield* Object.getOwnPropertyNames(each);
      each = Object.getPrototypeOf(each);
    }
  }
}
