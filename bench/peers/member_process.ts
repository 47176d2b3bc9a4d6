/**
 * A member of any system as a child process.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";
import { formatSet, type MemberEvent, parseEvent, wallClockMs } from "./line.ts";

/** How a {@linkcode MemberProcess} is started. */
export interface MemberProcessOptions {
  readonly id: string;
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** Called after each event, and after the end of the process. */
  readonly onChange: () => void;
}

/** One member. Its process ends when its standard input does, so it never outlives this one. */
export class MemberProcess implements AsyncDisposable {
  readonly id: string;
  /** When it was ready; `undefined` before. */
  readyAtMs: number | undefined;
  /** The last count of members that it reported, and when that count began. */
  members = { count: 1, sinceMs: 0 };
  /** By value, when it set its own. */
  readonly sets = new Map<string, number>();
  /** By value, when it received the value of another member. */
  readonly seen = new Map<string, number>();
  /** By member id, when it last reported it as gone. */
  readonly gone = new Map<string, number>();
  /** Why this member can no longer take part; `undefined` while it can. */
  failure: string | undefined;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #onChange: () => void;
  readonly #over: Promise<unknown>;
  #isKilled = false;

  /** Starts the process. */
  constructor({ id, command: [program = "", ...args], onChange }: MemberProcessOptions) {
    this.id = id;
    this.#onChange = onChange;
    const options = { args, stdin: "piped", stdout: "piped", stderr: "inherit" } as const;
    this.#child = new Deno.Command(program, options).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#over = Promise.all([this.#followEvents(), this.#followEnd()]);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Asks it to set its value. */
  async set(value: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${formatSet(value)}\n`));
  }

  /** Ends it as a crash would; returns when that was. */
  kill(): number {
    this.#isKilled = true;
    const atMs = wallClockMs();
    // It may have ended by itself in the meantime.
    if (this.failure === undefined) this.#child.kill("SIGKILL");
    return atMs;
  }

  /** Kills it, and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isKilled) this.kill();
    await this.#input.abort().catch(() => {});
    await this.#over;
  }

  async #followEvents(): Promise<void> {
    const text = this.#child.stdout.pipeThrough(new TextDecoderStream());
    for await (const line of text.pipeThrough(new TextLineStream())) {
      try {
        this.#take(parseEvent(line));
      } catch (error) {
        this.failure ??= (error as Error).message;
      }
      this.#onChange();
    }
  }

  async #followEnd(): Promise<void> {
    const { code, signal } = await this.#child.status;
    if (!this.#isKilled) this.failure ??= `Its process ended with ${signal ?? `code ${code}`}.`;
    this.#onChange();
  }

  #take(event: MemberEvent): void {
    const { type, subject, atMs } = event;
    switch (type) {
      case "ready":
        this.readyAtMs = atMs;
        break;
      case "members":
        this.members = { count: subject, sinceMs: atMs };
        break;
      case "set":
        this.sets.set(subject, atMs);
        break;
      case "seen":
        // Only the first time counts.
        if (!this.seen.has(subject)) this.seen.set(subject, atMs);
        break;
      case "gone":
        this.gone.set(subject, atMs);
    }
  }
}
