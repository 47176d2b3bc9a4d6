/**
 * Lists source files.
 *
 * @module
 */

const TYPESCRIPT = /(?<!\.d)\.ts$/;

/**
 * The files of a folder and its folders whose names match, as paths from the root, by name; without a pattern, those
 * in TypeScript without declarations.
 */
export async function* sourceFiles(
  root: string | URL,
  folder: string,
  pattern: RegExp = TYPESCRIPT,
): AsyncGenerator<string> {
  const path = root instanceof URL ? decodeURIComponent(root.pathname) : root;
  const entries = await Array.fromAsync(Deno.readDir(`${path}/${folder}`));
  for (const { name, isDirectory } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    if (isDirectory) yield* sourceFiles(root, `${folder}/${name}`, pattern);
    else if (pattern.test(name)) yield `${folder}/${name}`;
  }
}
