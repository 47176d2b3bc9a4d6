/**
 * A real DNS server for tests, if the machine has one. dnsmasq is a single small program without a service
 * that the package would start. It answers A, AAAA and SRV from two files, and reads new ones within
 * milliseconds.
 *
 * @module
 */

import type { NameServer } from "../../discovery/dns_lookup.ts";
import { reasonWithout } from "./etcd_server.ts";
import { freePort } from "../process/ports.ts";

/** The reason why there is no DNS server; `undefined` if there is one. */
export const withoutDns: string | undefined = await reasonWithout("dnsmasq", {
  args: ["--version"],
  package: "dnsmasq-base",
});

/** Registers a test that needs a DNS server. Without one it is skipped, and its name has the reason. */
export function dnsTest(name: string, run: () => Promise<void>): void {
  const ignore = withoutDns !== undefined;
  Deno.test({ name: ignore ? `${name} (skipped: ${withoutDns})` : name, ignore, fn: run });
}

/** The records of a {@linkcode DnsServer}. */
export interface Records {
  /** The addresses of each name. */
  readonly hosts?: Readonly<Record<string, readonly string[]>>;
  /** The endpoints of each service, as `host:port`. */
  readonly services?: Readonly<Record<string, readonly string[]>>;
}

/** A DNS server with these records and no others under `.test`. */
export class DnsServer implements AsyncDisposable {
  readonly nameServer: NameServer & { readonly port: number };
  readonly #folder: string;
  #child: Deno.ChildProcess | undefined;
  /** Changes run one after the other. */
  #setting: Promise<void> = Promise.resolve();

  private constructor(folder: string) {
    this.#folder = folder;
    this.nameServer = { ipAddr: "127.0.0.1", port: freePort() };
  }

  /** Starts a server with these records. */
  static async start(records: Records = {}): Promise<DnsServer> {
    const server = new DnsServer(await Deno.makeTempDir({ prefix: "dns_" }));
    await server.set(records);
    await server.up();
    return server;
  }

  /** Answers with other records from now on, or from the next start. */
  set(records: Records): Promise<void> {
    this.#setting = this.#setting.then(() => this.#set(records));
    return this.#setting;
  }

  async #set({ hosts = {}, services = {} }: Records): Promise<void> {
    const lines = Object.entries(hosts).flatMap(([name, ips]) => ips.map((ip) => `${ip} ${name}\n`));
    const places = Object.entries(services).flatMap(([name, all]) =>
      all.map((place) => `srv-host=${name},${place.replace(":", ",")}\n`)
    );
    await Deno.writeTextFile(`${this.#folder}/hosts`, `127.0.0.1 up.test\n${lines.join("")}`);
    await Deno.writeTextFile(`${this.#folder}/conf`, places.join(""));
    if (this.#child === undefined) return;
    await this.down();
    await this.up();
  }

  /** Starts it again with the same records. */
  async up(): Promise<void> {
    // A shell that ends it when its own standard input ends, and so also when the test is killed.
    const script =
      'dnsmasq "$@" --user="$(id -un)" </dev/null & pid=$!; cat >/dev/null; kill -9 $pid; wait $pid';
    this.#child = new Deno.Command("sh", {
      args: ["-c", script, "dnsmasq", ...this.#args()],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    for (let left = 200; left > 0; left--) {
      if (await this.#isWell()) return;
    }
    throw new Error("The DNS server did not begin to answer.");
  }

  async down(): Promise<void> {
    await this.#child?.stdin.close();
    await this.#child?.status;
    this.#child = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
    await Deno.remove(this.#folder, { recursive: true });
  }

  #args(): string[] {
    return [
      "--keep-in-foreground",
      "--pid-file=",
      `--port=${this.nameServer.port}`,
      `--listen-address=${this.nameServer.ipAddr}`,
      "--bind-interfaces",
      "--no-resolv",
      "--no-hosts",
      "--local=/test/",
      `--addn-hosts=${this.#folder}/hosts`,
      `--conf-file=${this.#folder}/conf`,
    ];
  }

  async #isWell(): Promise<boolean> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), 50);
    try {
      const { nameServer } = this;
      return (await Deno.resolveDns("up.test", "A", { nameServer, signal: late.signal })).length > 0;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}
