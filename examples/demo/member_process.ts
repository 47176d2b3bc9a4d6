/**
 * A member of the demo, as the demo sees it from outside: a process, and what it has told so far.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";
import type { FlushResult, JsonValue } from "../../mod.ts";
import { type Command, type Key, KEYS, type Report, type Sight, wallClockMs } from "./protocol.ts";

/** Something that came true, and when. */
export interface Fact<T> {
  readonly is: T;
  /** The wall clock's milliseconds. */
  readonly atMs: number;
}

/** How a {@linkcode MemberProcess} is started. */
export interface MemberOptions {
  /** The address of a member that runs already. */
  readonly seed?: string;
  /** Called whenever there is something new to look at. */
  readonly onChange: () => void;
}

/** One member: a child process that ends when this one does. */
export class MemberProcess implements AsyncDisposable {
  readonly id: string;
  /** Where it can be reached, and when it called `join`. */
  address: Fact<string> | undefined;
  /** By member id, since when it sees that member as it does. */
  readonly sights = new Map<string, Fact<Sight>>();
  /** By key and member id, what it has heard last. */
  readonly values: Readonly<Record<Key, Map<string, Fact<JsonValue>>>> = {
    version: new Map(),
    load: new Map(),
  };
  /** The version that, as it sees it, all have; `null` while there is none. */
  agreed: Fact<JsonValue> = { is: null, atMs: 0 };
  /** What it said when it had left. */
  stopped: Fact<FlushResult> | undefined;
  /** How its process ended, and when that was noticed. */
  ended: Fact<Deno.CommandStatus> | undefined;
  /** Whether the demo wanted it to end. */
  isToEnd = false;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #onChange: () => void;
  readonly #whenOver: Promise<unknown>;

  /** Starts the process. */
  constructor(id: string, { seed, onChange }: MemberOptions) {
    this.id = id;
    this.#onChange = onChange;
    const program = new URL("./member.ts", import.meta.url).href;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", ...PERMISSIONS, program, id, ...(seed === undefined ? [] : [seed])],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#whenOver = this.#followEnd(this.#followReports());
  }

  /** The process's number. */
  get pid(): number {
    return this.#child.pid;
  }

  /** The ids of the members that it takes to be alive, itself included. */
  get activeIds(): readonly string[] {
    return [...this.sights.values()].filter(({ is }) => is.status === "active").map(({ is }) => is.id);
  }

  /** How long it took from its call of `join` until it saw another member; `undefined` before that. */
  get joinedAfterMs(): number | undefined {
    const others = [...this.sights.values()].filter(({ is }) => is.id !== this.id && is.status === "active");
    if (this.address === undefined || others.length === 0) return undefined;
    return Math.min(...others.map(({ atMs }) => atMs)) - this.address.atMs;
  }

  /** Everything it has heard of everybody, as a text that is equal where the knowledge is. */
  get knowledge(): string {
    const known = KEYS.flatMap((key) =>
      [...this.values[key]].map(([id, { is }]) => JSON.stringify([id, key, is]))
    );
    return known.sort().join("\n");
  }

  /** Tells it something. */
  async command(command: Command): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
  }

  /** Sends it a signal that is to end it; returns when that was. */
  signal(signal: "SIGKILL" | "SIGTERM"): number {
    this.isToEnd = true;
    this.#child.kill(signal);
    return wallClockMs();
  }

  /** Ends its standard input, which is to end the process. */
  endInput(): void {
    this.isToEnd = true;
    // A process that is gone has closed the pipe already.
    this.#input.close().catch(() => {});
  }

  /** Kills the process if it still runs; resolves when it is gone and everything it said has been read. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.ended) this.signal("SIGKILL");
    this.endInput();
    await this.#whenOver;
  }

  async #followReports(): Promise<void> {
    const { stdout } = this.#child;
    const lines = stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    for await (const line of lines) {
      this.#take(JSON.parse(line));
      this.#onChange();
    }
  }

  async #followEnd(whenAllRead: Promise<void>): Promise<void> {
    const status = await this.#child.status;
    const atMs = wallClockMs();
    // Its last words may still be in the pipe.
    await whenAllRead;
    this.ended = { is: status, atMs };
    this.#onChange();
  }

  #take(report: Report): void {
    const { atMs } = report;
    switch (report.type) {
      case "listening":
        this.address = { is: report.address, atMs: report.sinceMs };
        break;
      case "members":
        this.#see(report.members, atMs);
        break;
      case "value":
        this.values[report.key].set(report.of, { is: report.value, atMs });
        break;
      case "consensus":
        this.agreed = { is: report.version, atMs };
        break;
      case "stopped":
        this.stopped = { is: report.flush, atMs };
    }
  }

  #see(members: readonly Sight[], atMs: number): void {
    for (const sight of members) {
      const before = this.sights.get(sight.id)?.is;
      const isSame = before?.status === sight.status && before?.reason === sight.reason;
      if (!isSame) this.sights.set(sight.id, { is: sight, atMs });
    }
  }
}

const PERMISSIONS = ["--allow-net=127.0.0.1", "--allow-sys=loadavg,systemMemoryInfo"];
