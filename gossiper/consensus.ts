/**
 * Consensus checks: do all active members have the same value, as an extractor reads it (rule E13)?
 *
 * @module
 */

import { canonicalize } from "../deps/canonicalize.ts";
import { copyJson, deepFreeze } from "../engine/json.ts";
import type { JsonValue } from "../engine/types.ts";
import type { EngineHost } from "./engine_host.ts";
import { HearsayError } from "../common/errors.ts";
import { assertOptions } from "../options/rules.ts";
import { WAIT } from "./call_options.ts";

/**
 * Reads the part of a member's value to compare. It must return a JSON value, or `undefined` if the member has none.
 * An error counts as no value, and emits a `CallbackFailed` event; `join` logs the first one. The result must depend on
 * the arguments alone, and the extractor must not call the gossiper.
 */
export type ConsensusExtractor = (value: JsonValue, memberId: string) => unknown;

/** Callbacks of a consensus check. An error in one emits `CallbackFailed` and has no other effect. */
export interface ConsensusCallbacks {
  /** Called each time consensus is reached, and for each new value. */
  readonly onReached?: (value: JsonValue) => unknown;
  /**
   * Called when consensus is lost: a member has another value or no value, or this member is isolated. With isolation
   * alone, the list of dissenters stays empty.
   */
  readonly onLost?: () => unknown;
}

/** A registered consensus check. Its disposal (`using`) removes the check. */
export interface ConsensusHandle extends Disposable {
  /** The id for `removeConsensusCheck`. */
  readonly id: string;
  /** The key to compare. */
  readonly key: string;
  /** The value of all active members; `undefined` without consensus. */
  readonly value: JsonValue | undefined;
  /**
   * Resolves with the value at consensus. Rejects with the signal's reason, or with code `stopped` when the check is
   * removed or the gossiper has stopped.
   */
  reached(options?: { readonly signal?: AbortSignal }): Promise<JsonValue>;
  /** The active members without a value, or with another value than the most common value; sorted. */
  dissenters(): readonly string[];
}

interface RegisteredCheck {
  readonly callbacks: ConsensusCallbacks;
  /** For reports of its errors. */
  readonly name: string;
}

/** The checks of one gossiper. */
export class ConsensusChecks {
  readonly #engineHost: EngineHost;
  readonly #checks = new Map<string, RegisteredCheck>();
  #made = 0;

  /** Makes an empty set of checks that listens to the engine until the end. */
  constructor(engineHost: EngineHost) {
    this.#engineHost = engineHost;
    engineHost.onEvent((event) => {
      if (event.type === "ConsensusReached") this.#callOnReached(event.checkId, event.value);
      else if (event.type === "ConsensusLost") this.#callOnLost(event.checkId);
    });
  }

  /** Registers a check. */
  register(key: string, extractor: ConsensusExtractor, callbacks: ConsensusCallbacks = {}): ConsensusHandle {
    const id = `consensus-${++this.#made}`;
    const name = `the consensus check ${id} (key ${JSON.stringify(key)})`;
    const read = this.#guarded(`the extractor of ${name}`, extractor);
    this.#checks.set(id, { callbacks, name });
    this.#engineHost.do((engine) => engine.addCheck(id, key, read));
    return this.#handle(id, key);
  }

  /** Removes a check; returns `false` if there was none. */
  remove(id: string): boolean {
    this.#engineHost.assertOutside();
    if (!this.#checks.delete(id)) return false;
    this.#engineHost.engine.removeCheck(id);
    this.#engineHost.checkWaiters();
    return true;
  }

  #handle(id: string, key: string): ConsensusHandle {
    const engineHost = this.#engineHost;
    const isRegistered = () => this.#checks.has(id);
    const now = () => isRegistered() ? engineHost.view.consensus(id) : { reached: false, value: undefined };
    return Object.freeze({
      id,
      key,
      get value() {
        return now().value;
      },
      reached: async (options: { readonly signal?: AbortSignal } = {}) => {
        assertOptions(options, WAIT);
        let value: JsonValue = null;
        const isReached = () => {
          const { reached, value: agreed } = now();
          if (reached) value = agreed!;
          return reached || !isRegistered();
        };
        await engineHost.until(isReached, options);
        if (!isRegistered()) throw new HearsayError("stopped", `The consensus check ${id} was removed.`);
        return value;
      },
      dissenters: () => isRegistered() ? engineHost.view.dissenters(id) : [],
      [Symbol.dispose]: () => void this.remove(id),
    });
  }

  #guarded(where: string, extractor: ConsensusExtractor) {
    return (value: JsonValue, memberId: string): string | undefined => {
      try {
        const extracted = extractor(deepFreeze(value), memberId);
        if (extracted === undefined) return undefined;
        // `canonicalize` does not check numbers and keys; `copyJson` does. An unchanged value was checked when it
        // arrived.
        return canonicalize(extracted === value ? value : copyJson(extracted).value)!;
      } catch (error) {
        this.#engineHost.report(where, error);
        return undefined;
      }
    };
  }

  #callOnReached(id: string, value: JsonValue): void {
    const { callbacks, name } = this.#checks.get(id) ?? {};
    const onReached = callbacks?.onReached;
    if (onReached) this.#engineHost.callLater(`onReached of ${name}`, () => onReached(value));
  }

  #callOnLost(id: string): void {
    const { callbacks, name } = this.#checks.get(id) ?? {};
    const onLost = callbacks?.onLost;
    if (onLost) this.#engineHost.callLater(`onLost of ${name}`, () => onLost());
  }
}
