/**
 * Members of both kinds in processes on loopback, controlled by lines of JSON.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";
import type { Member, PartialConfig } from "../../mod.ts";
import { HEARSAY_KIND } from "../../protoactor/join.ts";
import { hostAndPortOf } from "../../protoactor/transport/go_link.ts";
import { freePorts } from "../process/ports.ts";
import type { DenoMemberOptions } from "./deno_member.ts";

const HERE = new URL("./", import.meta.url);
/** The default time limit of every wait, in milliseconds; far above what any needs. */
const BOUND_MS = 30_000;

/** The answer of a member to a command. */
export type Answer = Readonly<Record<string, unknown>>;

/** An entry of a member. */
export interface Held {
  /** For a Hearsay member's entry at a Go member it exceeds `Number.MAX_SAFE_INTEGER` and is not exact. */
  readonly number: number;
  /** The time of the set or merge at this member, in Unix milliseconds. */
  readonly stamp: number;
  readonly value?: unknown;
  readonly text?: string;
  readonly type?: string;
}

/** A member in a process. Disposal kills it. */
export class MemberProcess implements AsyncDisposable {
  readonly id: string;
  /** Its record in the lists of other members. */
  readonly record: Member;
  readonly kind: "go" | "deno";
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #asking: Promise<unknown> = Promise.resolve();

  private constructor(
    kind: "go" | "deno",
    parts: {
      readonly id: string;
      readonly address: string;
      readonly child: Deno.ChildProcess;
      readonly input: WritableStreamDefaultWriter<Uint8Array>;
      readonly lines: ReadableStreamDefaultReader<string>;
    },
  ) {
    this.kind = kind;
    this.id = parts.id;
    this.record = {
      id: this.id,
      ...hostAndPortOf(parts.address),
      kinds: kind === "deno" ? [HEARSAY_KIND] : [],
    };
    this.#child = parts.child;
    this.#input = parts.input;
    this.#lines = parts.lines;
  }

  /** Starts a program; resolves when it reports that it runs. */
  static async start(kind: "go" | "deno", program: string, args: readonly string[]): Promise<MemberProcess> {
    const command = new Deno.Command(program, {
      args: [...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    });
    const child = command.spawn();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
      .getReader();
    const { value } = await within(lines.read(), `the start of a ${kind} member`);
    if (value === undefined) throw new Error(`A ${kind} member ended before it was ready.`);
    const { id, address } = JSON.parse(value) as { readonly id: string; readonly address: string };
    return new MemberProcess(kind, { id, address, child, input: child.stdin.getWriter(), lines });
  }

  /** Sends a command and resolves with the answer; one command at a time. */
  ask(command: Readonly<Record<string, unknown>>): Promise<Answer> {
    const asked = this.#asking.then(async () => {
      await this.#input.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
      const { value } = await within(this.#lines.read(), `${this.kind} ${JSON.stringify(command)}`);
      const answer = JSON.parse(value ?? `{"error":"Its process has ended."}`) as Answer;
      if (answer.error !== undefined) throw new Error(`${this.kind} member: ${answer.error}`);
      return answer;
    });
    this.#asking = asked.catch(() => {});
    return asked;
  }

  /** The entries of a key at this member, by member id. */
  async state(key: string): Promise<Readonly<Record<string, Held>>> {
    return (await this.ask({ op: "get", key })).state as Readonly<Record<string, Held>>;
  }

  /** The ids of members that are active at this member. */
  async members(): Promise<readonly string[]> {
    return (await this.ask({ op: "members" })).members as readonly string[];
  }

  /** Replaces the list of members. Only in a manual {@linkcode Processes}. */
  async list(members: readonly MemberProcess[]): Promise<void> {
    await this.ask({ op: "list", members: members.map(({ record }) => record) });
  }

  /** The ids that this member has blocked. */
  async blocked(): Promise<readonly string[]> {
    const blocked = (await this.ask({ op: "members" }))
      .blocked as readonly (string | { readonly id: string })[];
    return blocked.map((each) => typeof each === "string" ? each : each.id);
  }

  /** Makes it leave; resolves with the answer when its process has ended. */
  async leave(): Promise<Answer> {
    const answer = await this.ask({ op: "leave" });
    await within(this.#child.status, "the end of a process");
    return answer;
  }

  /** Kills it with SIGKILL. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /**
   * Suspends the process for at least `forMs` milliseconds, and until `until` has resolved, such as when all other
   * members have blocked it.
   */
  async standStill(forMs: number, { until }: { readonly until: () => Promise<void> }): Promise<void> {
    this.#child.kill("SIGSTOP");
    await Promise.all([until(), new Promise((resolve) => setTimeout(resolve, forMs))]);
    this.#child.kill("SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch { /* It has ended. */ }
    await this.#lines.cancel().catch(() => {});
    await this.#input.abort().catch(() => {});
    await this.#child.status;
  }
}

/** Options of a member of protoactor-go. */
export interface GoOptions {
  readonly id?: string;
  readonly kind?: string;
  readonly purges?: boolean;
}

/** A cluster for members of both kinds, with ports that all of them know. */
export class Processes implements AsyncDisposable {
  readonly members: MemberProcess[] = [];
  readonly #goProgram: string;
  readonly #ports: readonly number[];
  readonly #hosts: readonly string[];
  readonly #heartbeatExpiration: number;
  readonly #etcd: string | undefined;
  readonly #manual: boolean;
  #started = 0;

  /** Makes a cluster for at most `size` members; starts none yet. */
  constructor(
    options: {
      readonly goProgram: string;
      readonly size: number;
      readonly heartbeatExpiration?: number;
      /** An etcd for discovery; without it members ask each other's `/_health`. */
      readonly etcd?: string;
      /** True: there is no discovery, and {@linkcode MemberProcess.list} sets each member's list. */
      readonly manual?: boolean;
    },
  ) {
    this.#manual = options.manual ?? false;
    this.#etcd = options.etcd;
    this.#goProgram = options.goProgram;
    this.#heartbeatExpiration = options.heartbeatExpiration ?? 20_000;
    const ports = freePorts(2 * options.size);
    this.#ports = ports.slice(options.size);
    this.#hosts = ports.slice(0, options.size).map((port) => `127.0.0.1:${port}`);
  }

  /**
   * Starts a member of protoactor-go, by default with an id of its own. With `purges` it drops the state of members that
   * it does not list, and with `kind` it activates actors of that kind.
   */
  async go({ id, kind, purges = false }: GoOptions = {}): Promise<MemberProcess> {
    const at = this.#started++;
    return this.#add(
      await MemberProcess.start("go", this.#goProgram, [
        `-port=${this.#ports[at]}`,
        `-manage-port=${this.#managePort(at)}`,
        `-hosts=${this.#hosts.join()}`,
        `-expiration=${this.#heartbeatExpiration}ms`,
        ...(this.#etcd ? [`-etcd=${new URL(this.#etcd).host}`] : []),
        ...(this.#manual ? ["-manual"] : []),
        ...(purges ? ["-purges"] : []),
        ...(id ? [`-id=${id}`] : []),
        ...(kind ? [`-kind=${kind}`] : []),
      ]),
    );
  }

  /** Starts a Hearsay member. */
  async deno(config: PartialConfig = {}): Promise<MemberProcess> {
    const at = this.#started++;
    const options: DenoMemberOptions = {
      cluster: "interop",
      managePort: this.#managePort(at),
      hosts: this.#hosts,
      ...(this.#etcd && { etcd: this.#etcd }),
      manual: this.#manual,
      config: { heartbeatExpiration: this.#heartbeatExpiration, ...config },
    };
    const program = new URL("deno_member.ts", HERE).href;
    return this.#add(
      await MemberProcess.start("deno", Deno.execPath(), [
        "run",
        "--no-prompt",
        "--allow-net=127.0.0.1",
        program,
        JSON.stringify(options),
      ]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member[Symbol.asyncDispose]()));
  }

  #managePort(at: number): number {
    return Number(this.#hosts[at]!.split(":")[1]);
  }

  #add(member: MemberProcess): MemberProcess {
    this.members.push(member);
    return member;
  }
}

/** Polls until `look` returns true; resolves with the time taken. Throws with the last result after the time limit. */
export async function eventually(
  what: string,
  look: () => Promise<true | unknown>,
  { withinMs = BOUND_MS }: { readonly withinMs?: number } = {},
): Promise<number> {
  const start = performance.now();
  for (;;) {
    const seen = await look();
    const took = performance.now() - start;
    if (seen === true) return took;
    if (took > withinMs) {
      throw new Error(`Not true within ${withinMs} ms: ${what}. Last result: ${JSON.stringify(seen)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`Timeout after ${BOUND_MS} ms: ${what}.`)), BOUND_MS);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
