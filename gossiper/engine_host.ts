/**
 * Runs the engine: passes it the clocks, publishes its events, and resolves waiters.
 *
 * @module
 */

import { Engine, type EngineSettings, type Sent } from "../engine/engine.ts";
import type { EngineEvent } from "../engine/events.ts";
import { deepFreeze } from "../engine/json.ts";
import { makeIncarnation } from "../engine/incarnation.ts";
import type { Instant, Liveness } from "../engine/types.ts";
import type { EngineView } from "../engine/view.ts";
import { HearsayError } from "../common/errors.ts";
import type { EventStream, HearsayEvent } from "../contracts/event_stream.ts";
import type { Runtime } from "../common/runtime.ts";
import type { Session } from "../protocol/session.ts";

/** The dependencies of an {@linkcode EngineHost}. */
export interface EngineHostOptions {
  readonly id: string;
  readonly openMembership: boolean;
  readonly awaitsTopology?: boolean;
  /** True if members sign their state. */
  readonly signs?: boolean;
  readonly settings: EngineSettings;
  readonly runtime: Runtime;
  readonly eventStream: EventStream;
  /** Called after an unexpected error of the engine: the gossiper must stop, because its state may be broken. */
  readonly onFatal: (error: unknown) => void;
}

/** A function to call after every engine call. */
export type AfterCall = () => void;

interface Waiter {
  readonly isTrue: () => boolean;
  readonly outcome: PromiseWithResolvers<void>;
}

/** Makes the engine calls that cause events. Publishes each event once, immediately and in order. */
export class EngineHost {
  /** For calls that return no events, such as `takeChanges`; {@linkcode EngineHost.do} makes all others. */
  readonly engine: Engine;
  readonly runtime: Runtime;
  readonly #eventStream: EventStream;
  readonly #onFatal: (error: unknown) => void;
  readonly #listeners = new Set<(event: HearsayEvent) => void>();
  readonly #waiters = new Set<Waiter>();
  readonly #afterCalls = new Set<AfterCall>();
  #isInside = false;
  #heartbeatWatches = 0;
  #over: HearsayError | undefined;

  /** Makes the engine of a new incarnation. */
  constructor(
    { id, openMembership, awaitsTopology = false, signs = false, settings, runtime, eventStream, onFatal }:
      EngineHostOptions,
  ) {
    this.runtime = runtime;
    this.#onFatal = onFatal;
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

  /**
   * The heartbeat counts to send on a session. In a reply before the handshake of a later incarnation the own count is 0:
   * the peer would take it as a count of the earlier incarnation (rule L1).
   */
  takeLiveness(session: Pick<Session, "peerId" | "reported">, sent?: Sent): Liveness {
    const liveness = this.engine.takeLiveness(session.peerId!, sent);
    return this.isReported(session) ? liveness : { ...liveness, count: 0 };
  }

  /** True if the session's last handshake named the present incarnation of this member. */
  isReported({ reported }: Pick<Session, "reported">): boolean {
    return reported?.incarnation === this.view.incarnation;
  }

  /** Both clocks now. */
  now(): Instant {
    return { monotonicMs: this.runtime.monotonicMs(), wallMs: this.runtime.wallMs() };
  }

  /**
   * Calls the engine and publishes the events that it returns. An error of the engine means a broken invariant,
   * except a `RangeError` with `mayRefuse`: a limit, thrown as a `HearsayError` of code `too_large`.
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
      if (options.mayRefuse && error instanceof RangeError) {
        throw new HearsayError("too_large", error.message, { cause: error });
      }
      this.#onFatal(error);
      throw error;
    } finally {
      this.#isInside = false;
    }
    for (const event of caused.events) this.#publishEngineEvent(event);
    this.checkWaiters();
    for (const afterCall of this.#afterCalls) afterCall();
    return caused;
  }

  /** Adds a function that runs after every engine call and its events. It must not throw. */
  onAfterCall(afterCall: AfterCall): void {
    this.#afterCalls.add(afterCall);
  }

  /** Throws during an engine call: an extractor runs inside the call, and must not call the gossiper. */
  assertOutside(): void {
    if (!this.#isInside) return;
    throw new HearsayError("busy", "An extractor must not call this member; nothing was changed.");
  }

  /** Runs an action now, or right after the engine call under way (an extractor may trigger one). */
  runAfterCall(action: () => void): void {
    if (this.#isInside) queueMicrotask(action);
    else action();
  }

  /**
   * Calls the listener with every event of the engine and the gossiper before it is published; returns a function that
   * removes the listener.
   */
  onEvent(listener: (event: HearsayEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Enables heartbeat events, which the engine emits for listeners only; returns a function that ends that. */
  watchHeartbeats(): () => void {
    this.#heartbeatWatches++;
    return () => this.#heartbeatWatches--;
  }

  /** Publishes an event from outside of the engine. */
  publish(event: HearsayEvent): void {
    for (const listener of this.#listeners) listener(event);
    this.#eventStream.publish(event);
  }

  /** Publishes that a user's callback threw. */
  report(where: string, error: unknown): void {
    this.#eventStream.publish({ type: "CallbackFailed", where, error });
  }

  /** Calls a user's callback in a microtask; an error in it becomes a `CallbackFailed` event. */
  callLater(where: string, callback: () => unknown): void {
    queueMicrotask(async () => {
      try {
        await callback();
      } catch (error) {
        this.report(where, error);
      }
    });
  }

  /** Resolves once the condition is true; it is checked after every engine call. */
  async until(isTrue: () => boolean, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
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

  /** Checks the waiters. Call it after a change outside of the engine. */
  checkWaiters(): void {
    for (const { isTrue, outcome } of this.#waiters) if (isTrue()) outcome.resolve();
  }

  /** Rejects all waiters: no more changes will come. */
  end(error: HearsayError): void {
    this.#over = error;
    for (const { outcome } of this.#waiters) outcome.reject(error);
    this.#listeners.clear();
    this.#afterCalls.clear();
  }

  #publishEngineEvent(event: EngineEvent): void {
    if (event.type === "GossipUpdate" || event.type === "ConsensusReached") deepFreeze(event.value);
    for (const listener of this.#listeners) listener(event);
    this.#eventStream.publish(event);
  }
}
