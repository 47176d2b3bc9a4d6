/**
 * The engine with its surroundings: the clocks it is handed, the events that it causes, and those who wait.
 *
 * @module
 */

import { Engine, type EngineSettings } from "../engine/engine.ts";
import type { EngineEvent } from "../engine/events.ts";
import { deepFreeze } from "../engine/json.ts";
import { makeIncarnation } from "../engine/incarnation.ts";
import type { Instant } from "../engine/types.ts";
import type { EngineView } from "../engine/view.ts";
import { HearsayError } from "../common/errors.ts";
import type { EventStream, HearsayEvent } from "../contracts/event_stream.ts";
import { assertSignal } from "../options/rules.ts";
import type { Runtime } from "../common/runtime.ts";

/** What a {@linkcode EngineHost} is made of. */
export interface EngineHostOptions {
  readonly id: string;
  readonly openMembership: boolean;
  readonly awaitsTopology?: boolean;
  /** Whether members sign what they set. */
  readonly signs?: boolean;
  readonly settings: EngineSettings;
  readonly runtime: Runtime;
  readonly eventStream: EventStream;
  /** The engine threw what it never should: whoever hears of it stops the gossiper. */
  readonly onBroken: (error: unknown) => void;
}

/** Called after every call of the engine. */
export type AfterCall = () => void;

interface Waiter {
  readonly isTrue: () => boolean;
  readonly outcome: PromiseWithResolvers<void>;
}

/** Every call of the engine goes through here, so that what it causes is told once, at once and in order. */
export class EngineHost {
  /** To be read; what changes it goes through {@linkcode EngineHost.do}. */
  readonly engine: Engine;
  readonly runtime: Runtime;
  readonly #eventStream: EventStream;
  readonly #onBroken: (error: unknown) => void;
  readonly #listeners = new Set<(event: EngineEvent) => void>();
  readonly #waiters = new Set<Waiter>();
  #afterCall: AfterCall = () => {};
  #isInside = false;
  #heartbeatWatches = 0;
  #over: HearsayError | undefined;

  /** Makes an engine in the first moment of its life. */
  constructor(
    { id, openMembership, awaitsTopology = false, signs = false, settings, runtime, eventStream, onBroken }:
      EngineHostOptions,
  ) {
    this.runtime = runtime;
    this.#onBroken = onBroken;
    this.#eventStream = eventStream;
    const now = this.now();
    const incarnation = makeIncarnation(now.wallMs, runtime.random());
    const random = runtime.random();
    this.engine = new Engine(settings, {
      id,
      incarnation,
      now,
      random,
      openMembership,
      awaitsTopology,
      signs,
    });
  }

  /** The queries of the engine. */
  get view(): EngineView {
    return this.engine.view;
  }

  /** Both clocks now. */
  now(): Instant {
    return { monotonicMs: this.runtime.monotonicMs(), wallMs: this.runtime.wallMs() };
  }

  /**
   * Calls the engine, and tells what that caused. Whatever the engine throws is a broken invariant, but for
   * the `RangeError` of a call that may refuse.
   */
  do<T extends { readonly events: readonly EngineEvent[] }>(
    call: (engine: Engine, now: Instant) => T,
    options: { readonly mayRefuse?: boolean } = {},
  ): T {
    this.assertOutside();
    this.#isInside = true;
    this.engine.observeHeartbeats(
      this.#heartbeatWatches > 0 || this.#eventStream.isSubscribed("GossipUpdate"),
    );
    let caused: T;
    try {
      caused = call(this.engine, this.now());
    } catch (error) {
      if (!(options.mayRefuse && error instanceof RangeError)) this.#onBroken(error);
      throw error;
    } finally {
      this.#isInside = false;
    }
    for (const event of caused.events) this.#tell(event);
    this.checkWaiters();
    this.#afterCall();
    return caused;
  }

  /** Sets what is called after every call of the engine, once its events were published. It must not throw. */
  onAfterCall(afterCall: AfterCall): void {
    this.#afterCall = afterCall;
  }

  /** Throws where the engine is at work: its users' extractors run inside, and must only read what they are given. */
  assertOutside(): void {
    if (!this.#isInside) return;
    throw new HearsayError("busy", "An extractor must not call the gossiper; nothing was changed.");
  }

  /** Does something now, or where the engine is at work, which an extractor may be the cause of, right after that. */
  runAfterCall(action: () => void): void {
    if (this.#isInside) queueMicrotask(action);
    else action();
  }

  /** Hears every event before anybody else; returns how to end that. The listener must not throw. */
  onEvent(listener: (event: EngineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks for the events of heartbeats, which are emitted for listeners only; returns how to end that. */
  watchHeartbeats(): () => void {
    this.#heartbeatWatches++;
    return () => this.#heartbeatWatches--;
  }

  /** Publishes an event that is not the engine's. */
  publish(event: HearsayEvent): void {
    this.#eventStream.publish(event);
  }

  /** Tells that a callback of the user threw. */
  report(where: string, error: unknown): void {
    this.#eventStream.publish({ type: "CallbackFailed", where, error });
  }

  /** Calls a user's callback after what is going on now; what it throws is told and does no harm. */
  callLater(where: string, callback: () => unknown): void {
    queueMicrotask(async () => {
      try {
        await callback();
      } catch (error) {
        this.report(where, error);
      }
    });
  }

  /** Resolves as soon as the condition holds, which is looked at after every call of the engine. */
  async until(isTrue: () => boolean, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    assertSignal(signal);
    signal?.throwIfAborted();
    if (this.#over) throw this.#over;
    if (isTrue()) return;
    const waiter: Waiter = { isTrue, outcome: Promise.withResolvers() };
    const abort = () => waiter.outcome.reject(signal!.reason);
    signal?.addEventListener("abort", abort, { once: true });
    this.#waiters.add(waiter);
    try {
      await waiter.outcome.promise;
    } finally {
      this.#waiters.delete(waiter);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Looks at what is waited for; to be called where something changed outside of the engine. */
  checkWaiters(): void {
    for (const { isTrue, outcome } of this.#waiters) if (isTrue()) outcome.resolve();
  }

  /** Ends all waiting: nothing will change any more. */
  end(error: HearsayError): void {
    this.#over = error;
    for (const { outcome } of this.#waiters) outcome.reject(error);
    this.#listeners.clear();
    this.#afterCall = () => {};
  }

  #tell(event: EngineEvent): void {
    if (event.type === "GossipUpdate" || event.type === "ConsensusReached") deepFreeze(event.value);
    for (const listener of this.#listeners) listener(event);
    this.#eventStream.publish(event);
  }
}
