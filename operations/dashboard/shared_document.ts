/**
 * The document of a dashboard that several pages take at almost the same time.
 *
 * @module
 */

import type { Runtime } from "../../common/runtime.ts";
import { MIN_GAP_MS } from "./streams.ts";

/** Keeps the latest document for the shortest gap of a stream, until a change of membership. */
export class SharedDocument {
  readonly #runtime: Pick<Runtime, "monotonicMs">;
  #latest: { readonly name: string; readonly text: string; readonly madeMs: number } | undefined;

  constructor(runtime: Pick<Runtime, "monotonicMs">) {
    this.#runtime = runtime;
  }

  /** The kept document, if it has this name and is not too old; otherwise a new one. */
  take(name: string, make: () => string): string {
    const nowMs = this.#runtime.monotonicMs();
    const latest = this.#latest;
    if (latest?.name === name && nowMs - latest.madeMs < MIN_GAP_MS) return latest.text;
    const text = make();
    this.#latest = { name, text, madeMs: nowMs };
    return text;
  }

  /** Drops the kept document: something has changed. */
  forget(): void {
    this.#latest = undefined;
  }
}
