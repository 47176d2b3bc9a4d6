/**
 * The module of pages, as the task builds it.
 *
 * @module
 */

/** Builds the module in a process of its own: the bundler leaves a process behind for a moment. */
export async function bundled(): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-read", "--allow-env", "--allow-run", "tools/bundle.ts", "--print"],
    cwd: new URL("../../", import.meta.url),
    signal: AbortSignal.timeout(60_000),
  }).output();
  const decoder = new TextDecoder();
  if (code !== 0) throw new Error(decoder.decode(stderr));
  return decoder.decode(stdout).trimEnd();
}
