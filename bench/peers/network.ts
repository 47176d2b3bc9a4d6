/**
 * A network namespace for the members of one system, so that all bytes on its loopback interface are theirs.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";
import { output } from "./command.ts";

/** A network for members. Disposal removes it. */
export interface Network extends AsyncDisposable {
  /** Why bytes are not counted; `undefined` if they are. */
  readonly whyNoBytes: string | undefined;
  /** Wraps a command to run in this network, in one process. */
  command(command: readonly string[]): readonly string[];
  /** Bytes sent so far with headers; `null` if unknown. */
  sentBytes(): Promise<number | null>;
}

/** Commands to make a network namespace: as root, or in a user namespace if these are permitted. */
const WAYS = [
  { unshare: ["unshare", "--net"], enter: ["nsenter"] },
  {
    unshare: ["unshare", "--user", "--map-root-user", "--net"],
    enter: ["nsenter", "--user", "--preserve-credentials"],
  },
] as const;
/** Enables loopback, prints a line, and keeps the namespace until the standard input ends. */
const KEEP = "ip link set lo up && echo up && exec cat";

/** Opens a network namespace, or uses the machine's network if namespaces are not permitted. */
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

/** The bytes sent by an interface, from the text of `/proc/net/dev`. */
export function sentBytesOf(text: string, name: string): number {
  const counters = new RegExp(`^\\s*${name}:(.*)$`, "m").exec(text)?.[1]?.trim().split(/\s+/) ?? [];
  // The ninth counter: the first eight are for received data.
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
