/**
 * Sends the latest awareness state of this client, at a bounded rate.
 *
 * @module
 */

import type { Runtime } from "../../common/runtime.ts";
import type { AwarenessChange, AwarenessLike, AwarenessNode } from "./awareness.ts";
import { assertFits, type AwarenessEntry } from "./awareness_entry.ts";

/** The parts that sending and receiving share. */
export interface SharedParts<A extends AwarenessLike> {
  readonly node: AwarenessNode;
  readonly awareness: A;
  readonly key: string;
  readonly maxBytes: number;
  readonly onError: (error: unknown) => void;
  readonly runtime: Runtime;
}

/** The entry of this member. */
export class LocalState {
  readonly #parts: SharedParts<AwarenessLike> & { readonly intervalMs: number };
  /** Cancels the waiting change. */
  #cancel: (() => void) | undefined;
  #lastMs = -Infinity;
  #isSet = false;
  #hasFailed = false;
  readonly #onChange = ({ added, updated, removed }: AwarenessChange) => {
    const { clientID } = this.#parts.awareness;
    if ([added, updated, removed].some((clients) => clients.includes(clientID))) this.#sendSoon();
  };

  /** Sends the present state, then each change. `intervalMs` is the least time between two changes that are sent. */
  constructor(parts: SharedParts<AwarenessLike> & { readonly intervalMs: number }) {
    this.#parts = parts;
    const { awareness } = parts;
    // Yjs ignores the clock 0 of an unknown client, so it would not show the state of a new `Awareness`.
    const state = awareness.getLocalState();
    if (state !== null && awareness.meta.get(awareness.clientID)?.clock === 0) awareness.setLocalState(state);
    // Not `update`, which also comes with each renewal of an equal state.
    awareness.on("change", this.#onChange);
    this.#sendSoon();
  }

  /** Removes the entry, unless the member leaves anyway. */
  stop(): void {
    const { awareness, node, key } = this.#parts;
    awareness.off("change", this.#onChange);
    this.#cancel?.();
    if (this.#isSet && !node.signal.aborted) node.deleteState(key);
  }

  #sendSoon(): void {
    if (this.#cancel !== undefined) return;
    const { runtime, intervalMs } = this.#parts;
    const delayMs = this.#lastMs + intervalMs - runtime.monotonicMs();
    if (delayMs <= 0) return this.#send();
    this.#cancel = runtime.setTimer(delayMs, () => {
      this.#cancel = undefined;
      this.#send();
    });
  }

  #send(): void {
    const { node, key, runtime, onError } = this.#parts;
    this.#lastMs = runtime.monotonicMs();
    try {
      const entry = this.#entry();
      if (entry !== undefined) node.setState(key, entry);
      else if (this.#isSet) node.deleteState(key);
      this.#isSet = entry !== undefined;
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed) onError(error);
      this.#hasFailed = true;
    }
  }

  #entry(): AwarenessEntry | undefined {
    const { awareness, maxBytes } = this.#parts;
    const state = awareness.getLocalState();
    if (state === null) return undefined;
    // Fields that JSON cannot carry are left out, as in Yjs.
    const json = JSON.stringify(state);
    assertFits(json, maxBytes, "Others go on seeing the one before.");
    const { clock } = awareness.meta.get(awareness.clientID)!;
    return { clientId: awareness.clientID, clock, state: JSON.parse(json) };
  }
}
