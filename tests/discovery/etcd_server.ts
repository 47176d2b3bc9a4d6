/**
 * A real etcd for tests, if the machine has one.
 *
 * @module
 */

import { freePort } from "../process/ports.ts";

/** The reason why there is no etcd; `undefined` if there is one. */
export const withoutEtcd: string | undefined = await reasonWithout("etcd", {
  args: ["--version"],
  package: "etcd-server",
});

/** Registers a test that needs etcd. Without one it is skipped, and its name has the reason. */
export function etcdTest(name: string, run: () => Promise<void>): void {
  const ignore = withoutEtcd !== undefined;
  Deno.test({ name: ignore ? `${name} (skipped: ${withoutEtcd})` : name, ignore, fn: run });
}

/** The reason why a program cannot be run, from one call of it. */
export async function reasonWithout(
  program: string,
  options: { readonly args: readonly string[]; readonly package: string },
): Promise<string | undefined> {
  try {
    await new Deno.Command(program, { args: [...options.args], stdout: "null", stderr: "null" }).output();
    return undefined;
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound ? "is not installed" : String(error);
    return `${program} ${why}; on Debian it is in the package ${options.package}`;
  }
}

/** One etcd with its own data, at one address until it is disposed of. */
export class EtcdServer implements AsyncDisposable {
  readonly endpoint: string;
  readonly #folder: string;
  readonly #peer = `http://127.0.0.1:${freePort()}`;
  #child: Deno.ChildProcess | undefined;

  private constructor(folder: string) {
    this.#folder = folder;
    this.endpoint = `http://127.0.0.1:${freePort()}`;
  }

  /** Starts an etcd; resolves when it answers. */
  static async start(): Promise<EtcdServer> {
    const server = new EtcdServer(await Deno.makeTempDir({ prefix: "etcd_" }));
    await server.up();
    return server;
  }

  /** Starts it again with the same data. */
  async up(): Promise<void> {
    // A shell that ends it when its own standard input ends, and so also when the test is killed.
    const script = 'etcd "$@" </dev/null >/dev/null 2>&1 & pid=$!; cat >/dev/null; kill -9 $pid; wait $pid';
    this.#child = new Deno.Command("sh", {
      args: ["-c", script, "etcd", ...this.#args()],
      env: { ETCD_UNSUPPORTED_ARCH: Deno.build.arch === "aarch64" ? "arm64" : "" },
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    for (let left = 200; left > 0; left--) {
      if (await this.#isWell()) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error("etcd did not begin to answer.");
  }

  async down(): Promise<void> {
    await this.#child?.stdin.close();
    await this.#child?.status;
    this.#child = undefined;
  }

  /** Calls its HTTP gateway. */
  async call(
    method: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.endpoint}/v3/${method}`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method}: ${text}`);
    return JSON.parse(text);
  }

  /** All keys with this prefix, with their values. */
  async values(prefix: string): Promise<Record<string, string>> {
    const { kvs = [] } = await this.call("kv/range", { key: btoa(prefix), range_end: btoa(`${prefix}\xff`) });
    const pairs = (kvs as { key: string; value: string }[]).map(({ key, value }) => [atob(key), atob(value)]);
    return Object.fromEntries(pairs);
  }

  /** Sets a key without a lease. */
  async put(key: string, value: string): Promise<void> {
    await this.call("kv/put", { key: btoa(key), value: btoa(value) });
  }

  async delete(key: string): Promise<void> {
    await this.call("kv/deleterange", { key: btoa(key) });
  }

  /** Compacts all history up to now. */
  async compact(): Promise<void> {
    const { header } = await this.call("kv/range", { key: btoa("none") }) as { header: { revision: string } };
    await this.call("kv/compaction", { revision: header.revision, physical: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
    await Deno.remove(this.#folder, { recursive: true });
  }

  #args(): string[] {
    return [
      // The default cost takes longer on a busy machine than the client waits.
      "--bcrypt-cost",
      "4",
      `--data-dir=${this.#folder}/data`,
      `--listen-client-urls=${this.endpoint}`,
      `--advertise-client-urls=${this.endpoint}`,
      `--listen-peer-urls=${this.#peer}`,
      `--initial-advertise-peer-urls=${this.#peer}`,
      `--initial-cluster=default=${this.#peer}`,
    ];
  }

  async #isWell(): Promise<boolean> {
    try {
      await this.call("kv/range", { key: btoa("none") });
      return true;
    } catch {
      return false;
    }
  }
}

/** A proxy of one client to a server; a test can cut it. */
export class Proxy implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  #target: URL;
  readonly #open = new Set<Deno.Conn>();
  readonly #accepting: Promise<void>;
  readonly #piping = new Set<Promise<unknown>>();
  #isCut = false;
  /** The number of calls of {@linkcode Proxy.muffle}: older connections deliver nothing any more. */
  #muffled = 0;

  /** Forwards to the server at this URL. */
  constructor(target: string) {
    this.#target = new URL(target);
    this.#accepting = this.#accept();
  }

  /** The URL for clients. */
  get endpoint(): string {
    return `http://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  /** Ends all connections, and every later one at once. */
  cut(): void {
    this.#isCut = true;
    for (const connection of this.#open) close(connection);
    this.#open.clear();
  }

  /** Lets connections through again. */
  heal(): void {
    this.#isCut = false;
  }

  /** Drops all answers on connections open now; later ones work. */
  muffle(): void {
    this.#muffled++;
  }

  /** Forwards to another server from now on. */
  lead(target: string): void {
    this.#target = new URL(target);
    this.cut();
    this.heal();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#listener.close();
    await this.#accepting;
    await Promise.all(this.#piping);
  }

  async #accept(): Promise<void> {
    for await (const near of this.#listener) {
      if (this.#isCut) {
        close(near);
        continue;
      }
      const piping = this.#pipe(near).finally(() => this.#piping.delete(piping));
      this.#piping.add(piping);
    }
  }

  async #pipe(near: Deno.Conn): Promise<void> {
    this.#open.add(near);
    const from = this.#muffled;
    const ears = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        if (this.#muffled === from) controller.enqueue(chunk);
      },
    });
    try {
      const far = await Deno.connect({ hostname: this.#target.hostname, port: Number(this.#target.port) });
      this.#open.add(far);
      const back = far.readable.pipeThrough(ears).pipeTo(near.writable);
      await Promise.allSettled([near.readable.pipeTo(far.writable), back]);
      close(far);
      this.#open.delete(far);
    } catch {
      // The dialer sees that the connection ends.
    }
    close(near);
    this.#open.delete(near);
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It was closed already.
  }
}
