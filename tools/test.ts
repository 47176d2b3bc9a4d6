/**
 * `deno task test` runs the tests that take seconds, `deno task test:full` all of them. At its end a run lists the tests that
 * were skipped, and why. Other arguments go to `deno test`.
 *
 * @module
 */

const ROOT = new URL("..", import.meta.url);

/** Files and folders that take longer than the others together: processes, simulations, attacks, large states. */
const LONG: readonly string[] = [
  "tests/browser",
  "tests/cli/commands/commands_test.ts",
  "tests/cli/doctor/cluster_test.ts",
  "tests/conformance/discovery_test.ts",
  "tests/consensus/speed_test.ts",
  "tests/discovery/etcd_test.ts",
  "tests/discovery/kubernetes_test.ts",
  "tests/engine/chaos_test.ts",
  "tests/engine/state/many_keys_test.ts",
  "tests/maps/rate_limiter_test.ts",
  "tests/operations/dashboard/browser_test.ts",
  "tests/process",
  "tests/protoactor",
  "tests/repository/bundle_test.ts",
  "tests/repository/import_by_url_test.ts",
  "tests/repository/mutants_test.ts",
  "tests/requirements/bad_input_test.ts",
  "tests/requirements/many_keys_test.ts",
  "tests/roles/etcd_leader_test.ts",
  "tests/security/attacks",
  "tests/security/key_bindings_test.ts",
  "tests/security/key_sources_test.ts",
  "tests/security/later_incarnations_test.ts",
  "tests/security/page_tokens_test.ts",
  "tests/security/room_test.ts",
  "tests/security/signatures_test.ts",
  "tests/simulation",
];
const PERMISSIONS = [
  "--no-prompt",
  "--allow-net=127.0.0.1",
  "--allow-read",
  "--allow-write",
  "--allow-run",
  // The packages `ws` and `lib0` (of Yjs) read them when they are loaded.
  "--allow-env=WS_NO_BUFFER_UTIL,WS_NO_UTF_8_VALIDATE,COLORTERM,FORCE_COLOR,LOG,NODE_ENV,NO_COLOR,PRODUCTION,TERM",
];

async function main(given: readonly string[]): Promise<number> {
  const isFull = given.includes("--full");
  const others = given.filter((arg) => arg !== "--full");
  const ignored = isFull ? [] : [`--ignore=${LONG.join()}`];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "--doc", ...PERMISSIONS, ...ignored, ...others],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const skipped = new Skipped();
  for await (const chunk of child.stdout) {
    await Deno.stdout.write(chunk);
    skipped.take(chunk);
  }
  const { code } = await child.status;
  for (const line of skipped.lines()) console.log(line);
  if (!isFull) console.log("deno task test:full runs the long tests too.");
  return code;
}

/** Finds the reasons of skipped tests in the output of `deno test`. */
export class Skipped {
  readonly #decoder = new TextDecoder();
  readonly #reasons = new Map<string, number>();
  #rest = "";

  /** Reads a part of the output. */
  take(chunk: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const reason = /\(skipped: (.*)\) \.\.\. /.exec(line)?.[1];
      if (reason !== undefined) this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    }
  }

  /** One line for each reason. */
  lines(): string[] {
    return Array.from(this.#reasons, ([reason, count]) => `Skipped ${count} tests: ${reason}.`);
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
