/**
 * A network of their own for the members of one system, so that the bytes on its loopback interface are theirs.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";
import { output } from "./command.ts";

/** Where members run. Disposal removes it. */
export interface Network extends AsyncDisposable {
  /** Why bytes are not counted here; `undefined` where they are. */
  readonly whyNoBytes: string | undefined;
  /** The command that runs a command in this network, in the same process. */
  command(command: readonly string[]): readonly string[];
  /** What was sent so far, in bytes, headers included; `null` where that is not known. */
  sentBytes(): Promise<number | null>;
}

/** Ways to make a network namespace: as root, or in a user namespace where these are permitted. */
const WAYS = [
  { unshare: ["unshare", "--net"], enter: ["nsenter"] },
  {
    unshare: ["unshare", "--user", "--map-root-user", "--net"],
    enter: ["nsenter", "--user", "--preserve-credentials"],
  },
] as const;
/** Brings loopback up, says so, and keeps the namespace until the standard input ends. */
const KEEP = "ip link set lo up && echo up && exec cat";

/** Opens a network namespace, or the machine's own network where namespaces are not permitted. */
export async function openNetwork(): Promise<Network> {
  for (const { unshare, enter } of WAYS) {
    const [program, ...args] = [...unshare, "sh", "-c", KEEP] as [string, ...string[]];
    let child: Deno.ChildProcess;
    try {
      child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
    } catch {
      return new SharedNetwork("there is no `unshare` here");
    }
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    const reader = lines.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    const network = new NamespaceNetwork(child, enter);
    if (value === "up" && await network.canEnter()) return network;
    await network[Symbol.asyncDispose]();
  }
  return new SharedNetwork("network namespaces are not permitted here");
}

/** The bytes that an interface has sent, by the text of `/proc/net/dev`. */
export function sentBytesOf(text: string, name: string): number {
  const counters = new RegExp(`^\\s*${name}:(.*)$`, "m").exec(text)?.[1]?.trim().split(/\s+/) ?? [];
  // Eight counters of what was received, then those of what was sent.
  const bytes = Number(counters[8]);
  if (!Number.isSafeInteger(bytes)) throw new SyntaxError(`The interface ${name} is not listed: ${text}`);
  return bytes;
}

class NamespaceNetwork implements Network {
  readonly whyNoBytes = undefined;
  readonly #child: Deno.ChildProcess;
  readonly #enter: readonly string[];

  constructor(child: Deno.ChildProcess, enter: readonly string[]) {
    this.#child = child;
    this.#enter = enter;
  }

  async canEnter(): Promise<boolean> {
    return await output(this.command(["true"])).then(() => true, () => false);
  }

  command(command: readonly string[]): readonly string[] {
    return [...this.#enter, "--net", "--target", `${this.#child.pid}`, "--", ...command];
  }

  async sentBytes(): Promise<number> {
    return sentBytesOf(await output(["cat", `/proc/${this.#child.pid}/net/dev`]), "lo");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close().catch(() => {});
    await this.#child.status;
  }
}

class SharedNetwork implements Network {
  readonly whyNoBytes: string;

  constructor(whyNoBytes: string) {
    this.whyNoBytes = whyNoBytes;
  }

  command(command: readonly string[]): readonly string[] {
    return command;
  }

  sentBytes(): Promise<null> {
    return Promise.resolve(null);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
