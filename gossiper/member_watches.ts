/**
 * Watches of members: their views, each change of a view, and a wait for a number of members.
 *
 * @module
 */

import type { EventType } from "../contracts/event_stream.ts";
import type { MembersOptions, MemberView, WaitOptions } from "./contract.ts";
import { isAlive } from "./member_status.ts";
import type { EngineHost } from "./engine_host.ts";
import { ConflatingQueue } from "../common/conflating_queue.ts";
import { assertNone, assertOptions, wholeNumber } from "../options/rules.ts";
import { sleep } from "../common/runtime.ts";
import { WHEN_MEMBERS } from "./call_options.ts";

/** The events that change the set of alive members. */
const ALIVE_CHANGES: ReadonlySet<EventType> = new Set<EventType>([
  "MemberJoined",
  "MemberLeft",
  "MemberFailed",
]);
/** The events that may change a member's view. */
const VIEW_CHANGES: ReadonlySet<EventType> = new Set<EventType>([
  ...ALIVE_CHANGES,
  "MemberBlocked",
  "MemberForgotten",
  "MemberSuspected",
  "MemberUnblocked",
  "SuspicionEnded",
]);

const COUNT = wholeNumber({ least: 1, unit: "members" });

/** The dependencies of {@linkcode MemberWatches}. */
export interface MemberWatchesOptions {
  readonly engineHost: EngineHost;
  /** Returns the views of all members. */
  readonly views: () => readonly MemberView[];
  readonly view: (id: string) => MemberView;
  /** Aborted when the member begins to leave. */
  readonly leaving: AbortSignal;
}

/** The watches of one gossiper. */
export class MemberWatches {
  readonly #options: MemberWatchesOptions;
  /** The last view of each member, by stream. */
  readonly #streams = new Map<ConflatingQueue<MemberView>, Map<string, MemberView>>();

  constructor(options: MemberWatchesOptions) {
    this.#options = options;
    const { engineHost, view, leaving } = options;
    engineHost.onEvent((event) => {
      if (this.#streams.size === 0 || !VIEW_CHANGES.has(event.type) || !("memberId" in event)) return;
      if (event.memberId === undefined) return;
      const present = view(event.memberId);
      for (const [stream, last] of this.#streams) {
        if (shouldEmit(present, last.get(present.id))) stream.push(present);
        if (event.type === "MemberForgotten") last.delete(present.id);
        else last.set(present.id, present);
      }
    });
    leaving.addEventListener("abort", () => {
      for (const stream of [...this.#streams.keys()]) stream.end();
    }, { once: true });
  }

  /** Emits the present views, then each that changes, until the signal is aborted or the member begins to leave. */
  watch({ signal }: WaitOptions): ReadableStream<MemberView> {
    const { engineHost, views, leaving } = this.#options;
    engineHost.assertOutside();
    const stream = new ConflatingQueue<MemberView>({
      keyOf: ({ id }) => id,
      onEnd: (ended) => void this.#streams.delete(ended),
      signal,
    });
    const present = views();
    for (const view of present) stream.push(view);
    if (leaving.aborted) stream.finish();
    else if (!signal?.aborted) this.#streams.set(stream, new Map(present.map((view) => [view.id, view])));
    return stream.readable;
  }

  /** Resolves with the alive members once there are at least `count`, unchanged for `stableFor` milliseconds. */
  async when(count: number, options: MembersOptions): Promise<readonly MemberView[]> {
    assertNone(COUNT("count", count));
    assertOptions(options, WHEN_MEMBERS);
    const { stableFor = 0, signal } = options;
    const { engineHost, views, leaving } = this.#options;
    const either = signal ? AbortSignal.any([signal, leaving]) : leaving;
    do {
      await engineHost.until(() => engineHost.view.activeIds().size >= count, { signal: either });
    } while (stableFor > 0 && !await this.#isStable(stableFor, either));
    return views().filter(isAlive);
  }

  /** Resolves to true if no member comes or goes for `stableFor` milliseconds. */
  async #isStable(stableFor: number, signal: AbortSignal): Promise<boolean> {
    const { engineHost } = this.#options;
    const changed = new AbortController();
    const unlisten = engineHost.onEvent(({ type }) => {
      if (ALIVE_CHANGES.has(type)) changed.abort();
    });
    try {
      await sleep(engineHost.runtime, stableFor, { signal: AbortSignal.any([signal, changed.signal]) });
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (changed.signal.aborted) return false;
      throw error;
    } finally {
      unlisten();
    }
  }
}

/**
 * True if a stream must emit a view. One change of a member causes several events, with equal views. When a member that
 * left comes back, its block ends before the discovery names it again. A view at that moment would show the new
 * incarnation as `left`.
 */
function shouldEmit(view: MemberView, last: MemberView | undefined): boolean {
  if (view.status !== last?.status) return true;
  if (view.status === "left") return view.incarnation === undefined && last.incarnation !== undefined;
  return JSON.stringify(view) !== JSON.stringify(last);
}
