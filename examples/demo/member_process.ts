/**
 * A member of the demo, seen by the demo: a child process and its reports.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";
import type { FlushResult, JsonValue } from "../../mod.ts";
import { type Command, type Key, KEYS, type Report, type Sight, wallClockMs } from "./protocol.ts";

/** A fact with its time. */
export interface Fact<T> {
  readonly is: T;
  /** Milliseconds of the wall clock. */
  readonly atMs: number;
}

/** Options of a {@linkcode MemberProcess}. */
export interface MemberOptions {
  /** The address of a running member. */
  readonly seed?: string;
  /** Called after every report and at the end of the process. */
  readonly onChange: () => void;
}

/** A child process with one member; it ends when this process ends. */
export class MemberProcess implements AsyncDisposable {
  readonly id: string;
  /** Its address, with the time of its call of `join`. */
  address: Fact<string> | undefined;
  /** Its view of each member by id, with the time of the last change. */
  readonly sights = new Map<string, Fact<Sight>>();
  /** The last value that it reported, by key and member id. */
  readonly values: Readonly<Record<Key, Map<string, Fact<JsonValue>>>> = {
    version: new Map(),
    load: new Map(),
  };
  /** The version on which it reports consensus; `null` without consensus. */
  agreed: Fact<JsonValue> = { is: null, atMs: 0 };
  /** The result of its departure. */
  stopped: Fact<FlushResult> | undefined;
  /** The status of its process, with the time when this process learned of it. */
  ended: Fact<Deno.CommandStatus> | undefined;
  /** True if the demo ends it on purpose. */
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

  /** The id of the process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** The ids of members that are active in its view, its own included. */
  get activeIds(): readonly string[] {
    return [...this.sights.values()].filter(({ is }) => is.status === "alive").map(({ is }) => is.id);
  }

  /** Milliseconds from its call of `join` until it saw another member; `undefined` before that. */
  get joinedAfterMs(): number | undefined {
    const others = [...this.sights.values()].filter(({ is }) => is.id !== this.id && is.status === "alive");
    if (this.address === undefined || others.length === 0) return undefined;
    return Math.min(...others.map(({ atMs }) => atMs)) - this.address.atMs;
  }

  /** All values that it reported, as text: equal texts mean equal values. */
  get knowledge(): string {
    const known = KEYS.flatMap((key) =>
      [...this.values[key]].map(([id, { is }]) => JSON.stringify([id, key, is]))
    );
    return known.sort().join("\n");
  }

  /** Sends it a command. */
  async command(command: Command): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
  }

  /** Sends it a signal that ends it; returns the time of that. */
  signal(signal: "SIGKILL" | "SIGTERM"): number {
    this.isToEnd = true;
    this.#child.kill(signal);
    return wallClockMs();
  }

  /** Closes its standard input, which ends the process. */
  endInput(): void {
    this.isToEnd = true;
    // The pipe of an ended process is closed already.
    this.#input.close().catch(() => {});
  }

  /** Kills the process if it still runs. Resolves when it has ended and its output was read. */
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
    // Its last reports may still be in the pipe.
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
