/**
 * Lists source files.
 *
 * @module
 */

/** The TypeScript files of a folder and its folders, without declarations, as paths from the root, by name. */
export async function* sourceFiles(root: string | URL, folder: string): AsyncGenerator<string> {
  const path = root instanceof URL ? decodeURIComponent(root.pathname) : root;
  const entries = await Array.fromAsync(Deno.readDir(`${path}/${folder}`));
  for (const { name, isDirectory } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    if (isDirectory) yield* sourceFiles(root, `${folder}/${name}`);
    else if (/(?<!\.d)\.ts$/.test(name)) yield `${folder}/${name}`;
  }
}
