/**
 * Invariants of messages: limits of their size, and nothing to or about blocked members.
 *
 * @module
 */

import type { SentMessage } from "../../../testing/memory.ts";
import type { Process } from "../process.ts";
import type { CheckContext } from "./check_context.ts";

/** One message in seven is parsed: to parse all would take most of the run. */
const OPENED_MESSAGES = 7;

/** The types with state. */
const WITH_STATE: ReadonlySet<string> = new Set(["gossip", "push", "reply"]);
/** The types that go to active members only. */
const TO_ACTIVE: ReadonlySet<string> = new Set([...WITH_STATE, "answer", "message", "question"]);

/** Checks messages when they are sent. */
export class MessageChecks {
  readonly #context: CheckContext;
  #messages = 0;

  constructor(context: CheckContext) {
    this.#context = context;
  }

  /** Checks one message. */
  check({ from, to, text, bytes }: SentMessage): void {
    const { underWayMs, processes } = this.#context.options;
    const sender = processes.aliveAt(from);
    const receiver = processes.aliveAt(to);
    const maxBytes = Math.min(sender?.maxMessageBytes ?? Infinity, processes.largestMessageAt(to));
    if (bytes > maxBytes) this.#context.fail(sender, `it sends ${bytes} bytes; the limit is ${maxBytes}`);
    const type = /^\{"type":"(\w+)"/.exec(text)?.[1];
    if (!TO_ACTIVE.has(type ?? "")) return;
    if (sender && receiver && this.#context.of(sender).blockedForMs(receiver.id) >= underWayMs) {
      this.#context.fail(sender, `it sent a ${type} to ${receiver.id} long after it blocked that`);
    }
    if (!WITH_STATE.has(type!)) return;
    if (this.#messages++ % OPENED_MESSAGES === 0) this.#checkContent(sender, text);
  }

  #checkContent(sender: Process | undefined, text: string): void {
    const { gossipMaxSend, underWayMs } = this.#context.options;
    const message = JSON.parse(text);
    const states: Record<string, { readonly values?: object }> =
      (message.request ?? message.response).state?.members ?? {};
    const members = Object.keys(states).length;
    if (members > gossipMaxSend) {
      this.#context.fail(sender, `it sends the state of ${members} members in one message`);
    }
    if (!sender) return;
    for (const { id } of sender.gossiper.blockedMembers) {
      const hasHeartbeat = message.ranges?.[id]?.length === 3;
      if (hasHeartbeat && this.#context.of(sender).blockedForMs(id) >= underWayMs) {
        this.#context.fail(sender, `it sends a heartbeat of ${id} long after it blocked that`);
      }
    }
  }
}
