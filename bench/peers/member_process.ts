/**
 * A member of any system as a child process.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";
import { formatSet, type MemberEvent, parseEvent, wallClockMs } from "./line.ts";

/** Options of a {@linkcode MemberProcess}. */
export interface MemberProcessOptions {
  readonly id: string;
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** Called after each event, and after the end of the process. */
  readonly onChange: () => void;
}

/** One member. Its process ends with its standard input, so it never outlives this process. */
export class MemberProcess implements AsyncDisposable {
  readonly id: string;
  /** The time when it was ready; `undefined` before. */
  readyAtMs: number | undefined;
  /** The last reported count of members, and the time of that. */
  members = { count: 1, sinceMs: 0 };
  /** The time of each set, by value. */
  readonly sets = new Map<string, number>();
  /** The first receipt of another member's value, by value. */
  readonly seen = new Map<string, number>();
  /** The time of the last report of a member as gone, by member id. */
  readonly gone = new Map<string, number>();
  /** Why this member has failed; `undefined` while it works. */
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

  /** Sends it a value to set. */
  async set(value: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${formatSet(value)}\n`));
  }

  /** Kills it with SIGKILL; returns the time of that. */
  kill(): number {
    this.#isKilled = true;
    const atMs = wallClockMs();
    // The process may have ended before.
    if (this.failure === undefined) this.#child.kill("SIGKILL");
    return atMs;
  }

  /** Kills it and waits for its end. */
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
        // A later receipt is a repetition.
        if (!this.seen.has(subject)) this.seen.set(subject, atMs);
        break;
      case "gone":
        this.gone.set(subject, atMs);
    }
  }
}
