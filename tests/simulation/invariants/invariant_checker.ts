/**
 * Invariants of every member at every moment of a simulation.
 *
 * @module
 */

import type { HearsayEvent } from "../../../contracts/event_stream.ts";
import type { SentMessage } from "../../../testing/memory.ts";
import type { Process } from "../process.ts";
import { AwaitedValues } from "./awaited_values.ts";
import { CheckContext, type InvariantCheckerOptions } from "./check_context.ts";
import { EventChecks, isWithoutRoom } from "./event_checks.ts";
import { Lifetimes } from "./lifetimes.ts";
import { isState } from "./expected_state.ts";
import { HeardMessages } from "./heard_messages.ts";
import { MapChecks } from "./map_checks.ts";
import { MessageChecks } from "./message_checks.ts";
import { RoleChecks } from "./role_checks.ts";
import { StateChecks } from "./state_checks.ts";

/** Checks the invariants from outside: it trusts only changes by owners, and public interfaces. */
export class InvariantChecker {
  /** The checks of values that expire. */
  readonly lifetimes: Lifetimes;
  /** The checks of received messages. */
  readonly heard: HeardMessages;
  /** The checks of maps. */
  readonly maps: MapChecks;
  /** The checks of roles. */
  readonly roles: RoleChecks;
  readonly #context: CheckContext;
  readonly #awaited: AwaitedValues;
  readonly #events: EventChecks;
  readonly #messages: MessageChecks;
  readonly #states: StateChecks;

  constructor(options: InvariantCheckerOptions) {
    this.#context = new CheckContext(options);
    this.heard = new HeardMessages(this.#context);
    this.maps = new MapChecks(this.#context);
    this.roles = new RoleChecks(this.#context);
    this.#awaited = new AwaitedValues(this.#context);
    this.lifetimes = new Lifetimes(this.#context);
    this.#events = new EventChecks(this.#context, this.#awaited, this.lifetimes);
    this.#messages = new MessageChecks(this.#context);
    this.#states = new StateChecks(this.#context);
  }

  /** How often a member that runs and is not suspended was blocked as expired. */
  get falseBlocks(): number {
    return this.#events.falseBlocks;
  }

  /** Must be called at once with every event of a process. */
  record(process: Process, event: HearsayEvent): void {
    this.#events.record(process, event);
    if (event.type === "CallbackFailed" && isWithoutRoom(event)) this.roles.recordFull(process);
    if (event.type !== "GossipUpdate" || event.memberId !== process.id) return;
    if (event.key.startsWith("roles.")) this.roles.recordReport(process, event.key, event.value);
  }

  /** Must be called with every message when it is sent. */
  checkMessage(sent: SentMessage): void {
    this.#messages.check(sent);
  }

  /** Must be called before a `setStateRequest` with this value of `AWAITED_KEY`. */
  await(process: Process, value: number): void {
    this.#awaited.await(process, value);
  }

  /** Checks a resolved `setStateRequest`: so many other members, or all active ones, have the value. */
  checkPromise(
    process: Process,
    request: { readonly value: number; readonly acknowledgedBy: number | "all" },
  ): void {
    this.#awaited.check(process, request);
  }

  /** Checks the whole state of the processes. */
  sweep(processes: readonly Process[]): void {
    this.#states.sweep(processes);
    this.lifetimes.sweep(processes);
    this.maps.sweep(processes);
    this.roles.sweep();
  }

  /** The values of the running incarnation's keys, for the check at the end. */
  latest(process: Process): Map<string, string> {
    const { incarnation } = this.#context.of(process);
    const values = new Map<string, string>();
    if (incarnation === undefined) return values;
    for (const [key, changes] of this.#context.expected.changesOf(process.id, incarnation)) {
      const json = changes.at(-1)?.json;
      if (json !== undefined && isState(key)) values.set(key, json);
    }
    return values;
  }
}
