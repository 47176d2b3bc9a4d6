/**
 * The peers and the id of one member, and their file.
 *
 * @module
 */

import { HearsayError } from "../../common/errors.ts";
import { abortable, deadlineAfter, type Runtime, sleep } from "../../common/runtime.ts";
import type { Discovery, DiscoveryContext, Member } from "../../contracts/cluster.ts";
import { type AddressSink, openMembership } from "../open_membership.ts";
import { PeerFile } from "./peer_file.ts";
import { contentsOf, type PeerLimits, RememberedPeers, textOf } from "./remembered_peers.ts";
import { Writer } from "./writer.ts";

/**
 * The time for which the peers of the last run are dialed after the first contact, in milliseconds. 10 minutes: members
 * that restart together may first meet in several groups, and then find each other. Lower: these groups stay apart if
 * the machines start at different times. Higher: dials to addresses without a member.
 */
const DIALED_MS = 600_000;
/**
 * The longest wait for the file, in milliseconds. 5 s: a disk that wakes up answers sooner. Higher: a process whose disk or
 * file server hangs takes part later.
 */
const OPEN_MS = 5_000;
/** The number of writes without a change in each `maxAge`, so that active peers stay recent in the file. */
const WRITES_PER_AGE = 8;
/** The longest time between two writes, in milliseconds: a timer takes at most 24 days. */
const MAX_INTERVAL_MS = 86_400_000;

/** Options of a {@linkcode Recollection}. */
export interface RecollectionOptions extends PeerLimits {
  readonly cluster: string;
  readonly writeInterval: number;
  readonly runtime: Runtime;
}

/** The peers and the id of one member, and their file. */
export class Recollection {
  /** The id of this member. */
  id: string | undefined;
  readonly #path: string;
  readonly #options: RecollectionOptions;
  readonly #peers: RememberedPeers;
  readonly #longestInterval: number;
  #file: PeerFile | undefined;
  #written: { readonly summary: string; readonly atMs: number } | undefined;
  #opening: Promise<void> | undefined;
  #isStarted = false;
  #isClosed = false;

  constructor(path: string, options: RecollectionOptions) {
    this.#path = path;
    this.#options = options;
    this.#peers = new RememberedPeers(options);
    this.#longestInterval = Math.min(MAX_INTERVAL_MS, options.maxAge / WRITES_PER_AGE);
  }

  /** The peers, the last active first. */
  get peers(): readonly Member[] {
    return this.#peers.list.map(({ member }) => member);
  }

  /** Locks and reads the file. Returns the reason if it cannot be used. */
  async load(): Promise<Error | undefined> {
    try {
      return void await this.#openInTime();
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** Takes this memory for a member. Only one member may use it. */
  start(): void {
    if (this.#isStarted || this.#isClosed) {
      throw new HearsayError(
        "already_started",
        "A memory must be used by one member, once. Call `remember` again after that member has stopped. " +
          "Nothing was changed.",
      );
    }
    this.#isStarted = true;
  }

  /** A discovery that dials the peers of the last run until some time after the first contact. */
  get dialing(): Discovery {
    const { peers } = this;
    return openMembership((context, sink) => this.#dial(peers, { context, sink }));
  }

  /** Writes the file after changes until the signal is aborted; then once more, and frees it. */
  async follow(context: DiscoveryContext, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const writer = new Writer(context, {
      source: `the memory ${this.#path}`,
      interval: this.#options.writeInterval,
      longestInterval: this.#longestInterval,
      write: (active) => this.#write(active),
    });
    const { cluster } = this.#options;
    if (context.cluster === cluster) {
      await writer.follow(signal);
    } else {
      const given = `\`join\` has ${JSON.stringify(context.cluster)}`;
      const text = `The cluster must be ${
        JSON.stringify(cluster)
      }, as for \`remember\`; ${given}. The file is not changed.`;
      writer.failed(new HearsayError("invalid_configuration", text));
    }
    this.close();
  }

  /** Frees the file. */
  close(): void {
    this.#isClosed = true;
    this.#file?.close();
    this.#file = undefined;
  }

  async #dial(
    peers: readonly Member[],
    { context, sink: { found, signal } }: { readonly context: DiscoveryContext; readonly sink: AddressSink },
  ): Promise<void> {
    if (peers.length === 0 || context.cluster !== this.#options.cluster) return;
    const joined = context.eventStream.subscribe("MemberJoined", { signal });
    found(peers.map((peer) => context.addressOf(peer)));
    // The first contact is enough.
    for await (const _ of joined) break;
    await sleep(context.runtime, DIALED_MS, { signal }).catch(() => {});
    found([]);
  }

  /**
   * Opens the file, but waits at most {@linkcode OPEN_MS}. An attempt that hangs is kept, so that there is never a
   * second attempt beside it.
   */
  async #openInTime(): Promise<void> {
    using deadline = deadlineAfter(this.#options.runtime, OPEN_MS, `Opening ${this.#path}`);
    this.#opening ??= this.#open().finally(() => this.#opening = undefined);
    await abortable(this.#opening, deadline.signal);
  }

  async #open(): Promise<void> {
    const file = await PeerFile.open(this.#path);
    try {
      const text = await file.read();
      if (text !== undefined) {
        const { id, peers } = contentsOf(text, this.#options.cluster);
        this.id ??= id;
        this.#peers.load(peers, this.#options.runtime.wallMs());
      }
    } catch (error) {
      file.close();
      throw error;
    }
    // The memory may have been closed meanwhile, and the lock would stay.
    if (this.#isClosed) file.close();
    else this.#file = file;
  }

  /** Notes the active peers. Writes the file if they changed, or if their times in it are old. */
  async #write(active: readonly Member[]): Promise<void> {
    if (this.#isClosed) return;
    // The file could not be used before: try it again, and report a failure.
    if (this.#file === undefined) await this.#openInTime();
    const file = this.#file;
    if (file === undefined) return;
    const { runtime, cluster } = this.#options;
    const nowMs = runtime.wallMs();
    this.#peers.see(active, { nowMs, random: () => runtime.random() });
    const { summary, list } = this.#peers;
    const before = this.#written;
    if (before?.summary === summary && nowMs - before.atMs < this.#longestInterval) return;
    await file.write(textOf({ id: this.id!, peers: list }, cluster));
    this.#written = { summary, atMs: nowMs };
  }
}
