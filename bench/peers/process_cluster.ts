/**
 * All members of one system, and a wait for conditions on their events.
 *
 * @module
 */

import { freePorts } from "../../tests/process/ports.ts";
import type { MemberOptions } from "./line.ts";
import { MemberProcess } from "./member_process.ts";

/** The first members are the seeds of all. */
const SEEDS = 3;

/** Options of a {@linkcode ProcessCluster}. */
export interface ProcessClusterOptions {
  readonly size: number;
  readonly gossipIntervalMs: number;
  readonly fanOut: number;
  /** The program and its arguments; the member's options are added. */
  readonly command: readonly string[];
}

/** A condition to wait for. */
export interface Wait {
  /** The condition, as a sentence without its full stop. */
  readonly what: string;
  /** The time limit, in milliseconds. */
  readonly withinMs: number;
  readonly isTrue: () => boolean;
}

/** All members of one system, started at once. Disposal kills them and waits for their end. */
export class ProcessCluster implements AsyncDisposable {
  readonly members: readonly MemberProcess[];
  #changed = Promise.withResolvers<void>();

  /** Starts all processes. */
  constructor({ size, gossipIntervalMs, fanOut, command }: ProcessClusterOptions) {
    const members = freePorts(size).map((port, index) => ({ id: `m${index}`, port }));
    this.members = members.map(({ id, port }) => {
      const seeds = members.slice(0, SEEDS).filter((seed) => seed.id !== id);
      const options: MemberOptions = {
        id,
        port,
        seeds: seeds.map((seed) => `127.0.0.1:${seed.port}`),
        members,
        gossipIntervalMs,
        fanOut,
      };
      const onChange = () => {
        this.#changed.resolve();
        this.#changed = Promise.withResolvers();
      };
      return new MemberProcess({ id, command: [...command, JSON.stringify(options)], onChange });
    });
  }

  /**
   * Resolves when the condition is true; checks it after every event of a member.
   *
   * @throws {Error} if the time limit passes first, or a member fails.
   */
  async until({ what, withinMs, isTrue }: Wait): Promise<void> {
    const timeUp = Promise.withResolvers<void>();
    let isOver = false;
    const timer = setTimeout(() => {
      isOver = true;
      timeUp.resolve();
    }, withinMs);
    try {
      while (!isTrue()) {
        const failed = this.members.find(({ failure }) => failure !== undefined);
        if (failed) throw new Error(`Member ${failed.id} failed before "${what}": ${failed.failure}`);
        if (isOver) throw new Error(`"${what}" did not become true within ${withinMs} ms.`);
        await Promise.race([this.#changed.promise, timeUp.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member[Symbol.asyncDispose]()));
  }
}
