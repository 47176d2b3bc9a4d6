/**
 * Consensus checks: whether all active members have the same value, as an extractor reads it (rule E13).
 *
 * @module
 */

import { canonicalize } from "../deps/canonicalize.ts";
import { copyJson, deepFreeze } from "../engine/json.ts";
import type { JsonValue } from "../engine/types.ts";
import type { EngineHost } from "./engine_host.ts";
import { HearsayError } from "../common/errors.ts";

/**
 * Reads what is compared out of a member's value. What it returns has to be a JSON value; `undefined` means
 * that the member has no value, and so does an error, which is told as a `CallbackFailed` event. It must
 * depend on nothing but its arguments, and must not call the gossiper.
 */
export type ConsensusExtractor = (value: JsonValue, memberId: string) => unknown;

/** What to call when a consensus comes and goes. What they throw is told as `CallbackFailed` and does no harm. */
export interface ConsensusCallbacks {
  /** Consensus was reached on this value; called once for each time, and for each new value. */
  readonly onReached?: (value: JsonValue) => unknown;
  /** The consensus stands no more. */
  readonly onLost?: () => unknown;
}

/** A registered consensus check. Its disposal (`using`) removes it. */
export interface ConsensusHandle extends Disposable {
  /** What `removeConsensusCheck` takes. */
  readonly id: string;
  /** The key whose values are compared. */
  readonly key: string;
  /** The value that all active members have; `undefined` while they do not agree. */
  readonly value: JsonValue | undefined;
  /**
   * Resolves with the value as soon as there is consensus. Rejects with the signal's reason, or with code
   * `stopped` when the check is removed or the gossiper has stopped.
   */
  reached(options?: { readonly signal?: AbortSignal }): Promise<JsonValue>;
  /** The active members that have no value, or another than the most common one, sorted. */
  dissenters(): readonly string[];
}

/** The checks of one gossiper. */
export class ConsensusChecks {
  readonly #engineHost: EngineHost;
  readonly #callbacks = new Map<string, ConsensusCallbacks>();
  #made = 0;

  /** Makes an empty set of checks, which listens to the core for as long as that tells anything. */
  constructor(engineHost: EngineHost) {
    this.#engineHost = engineHost;
    engineHost.onEvent((event) => {
      if (event.type === "ConsensusReached") this.#tellReached(event.checkId, event.value);
      else if (event.type === "ConsensusLost") this.#tellLost(event.checkId);
    });
  }

  /** Registers a check. */
  register(key: string, extractor: ConsensusExtractor, callbacks: ConsensusCallbacks = {}): ConsensusHandle {
    const id = `consensus-${++this.#made}`;
    const read = this.#guarded(key, extractor);
    this.#callbacks.set(id, callbacks);
    this.#engineHost.do((engine) => engine.addCheck(id, key, read));
    return this.#handle(id, key);
  }

  /** Removes a check; returns whether there was one. */
  remove(id: string): boolean {
    this.#engineHost.assertOutside();
    if (!this.#callbacks.delete(id)) return false;
    this.#engineHost.engine.removeCheck(id);
    this.#engineHost.checkWaiters();
    return true;
  }

  #handle(id: string, key: string): ConsensusHandle {
    const engineHost = this.#engineHost;
    const isRegistered = () => this.#callbacks.has(id);
    const now = () => isRegistered() ? engineHost.view.consensus(id) : { reached: false, value: undefined };
    return Object.freeze({
      id,
      key,
      get value() {
        return now().value;
      },
      reached: async ({ signal }: { readonly signal?: AbortSignal } = {}) => {
        let value: JsonValue = null;
        const isReached = () => {
          const { reached, value: agreed } = now();
          if (reached) value = agreed!;
          return reached || !isRegistered();
        };
        await engineHost.until(isReached, signal ? { signal } : {});
        if (!isRegistered()) throw new HearsayError("stopped", `The consensus check ${id} was removed.`);
        return value;
      },
      dissenters: () => isRegistered() ? engineHost.view.dissenters(id) : [],
      [Symbol.dispose]: () => void this.remove(id),
    });
  }

  #guarded(key: string, extractor: ConsensusExtractor) {
    return (value: JsonValue, memberId: string): string | undefined => {
      try {
        const extracted = extractor(deepFreeze(value), memberId);
        // Canonical JSON takes its numbers and keys on trust: the copy has been checked.
        return extracted === undefined ? undefined : canonicalize(copyJson(extracted).value)!;
      } catch (error) {
        this.#engineHost.report(`the consensus extractor of ${JSON.stringify(key)}`, error);
        return undefined;
      }
    };
  }

  #tellReached(id: string, value: JsonValue): void {
    const onReached = this.#callbacks.get(id)?.onReached;
    if (onReached) this.#engineHost.callLater("onReached", () => onReached(value));
  }

  #tellLost(id: string): void {
    const onLost = this.#callbacks.get(id)?.onLost;
    if (onLost) this.#engineHost.callLater("onLost", () => onLost());
  }
}
