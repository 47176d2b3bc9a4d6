/**
 * Messages between members: broadcasts, and questions with gathered answers.
 *
 * @module
 */

import { type JsonCopy, utf8Length } from "../engine/json.ts";
import type { JsonValue } from "../engine/types.ts";
import { HearsayError } from "../common/errors.ts";
import { deadlineAfter } from "../common/runtime.ts";
import { assertNone, assertOptions, FUNCTION } from "../options/rules.ts";
import type { MemberView, WaitOptions } from "../gossiper/contract.ts";
import { type Gossiper, insightOf } from "../gossiper/gossiper.ts";
import type { Insight } from "../gossiper/insight.ts";
import { WAIT } from "../gossiper/call_options.ts";
import { Answering } from "./answering.ts";
import { Asking, gathered, type Outcome } from "./asking.ts";
import { maxContentBytesOf } from "./channel.ts";
import { assertAsk, assertAudience, assertSize, assertTopic, CALL, copiedPayload } from "./checks.ts";
import type {
  AnswerFunction,
  Answers,
  Ask,
  AskOptions,
  Audience,
  BroadcastOptions,
  BroadcastResult,
  Received,
  Skipped,
} from "./contract.ts";
import { isAlive } from "../gossiper/member_status.ts";
import { Incoming } from "./incoming.ts";
import { DEFAULT_TIMEOUTS, MAX_CALLS } from "./limits.ts";
import { Sender } from "./sender.ts";
import { Subscriptions } from "./subscriptions.ts";
import { answerContent, type Content, questionContent, topicContent } from "./wire.ts";

/** The messages of each member, so that all parts of a program share one connection with the gossiper. */
const OPEN = new WeakMap<Gossiper, Messages>();

/**
 * Returns the messages of a member; the first call begins to take messages. Members that did not call it are sent none. The
 * end of the member ends them.
 *
 * @throws {HearsayError} with code `not_started` before the member's start, and `stopped` once it leaves.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { messagesOf } from "@hearsay/gossip/messages";
 *
 * await using one = await join({ cluster: "shop", listen: { port: 0 } });
 * const messages = messagesOf(one);
 * const received = messages.subscribe("prices.changed").getReader();
 * await messages.broadcast("prices.changed", { sku: 7 }, { includeSelf: true });
 * console.assert((await received.read()).value?.memberId === one.id);
 * ```
 */
export function messagesOf(node: Gossiper): Messages {
  node.signal.throwIfAborted();
  const open = OPEN.get(node) ?? new Messages(node);
  OPEN.set(node, open);
  return open;
}

/**
 * Sends messages to members, and receives theirs: each at most once, over the connections of the gossip, after heartbeats
 * and state. Made by {@linkcode messagesOf}.
 */
export class Messages {
  readonly #node: Gossiper;
  readonly #insight: Insight;
  readonly #sender: Sender;
  readonly #subscriptions: Subscriptions;
  readonly #answering: Answering;
  readonly #asking = new Asking();
  #calls = 0;

  /** Called by {@linkcode messagesOf}. */
  constructor(node: Gossiper) {
    const insight = insightOf(node);
    if (!insight.running) {
      throw new HearsayError("not_started", "This member was not started; nothing was changed.");
    }
    const { peers } = insight.running;
    this.#node = node;
    this.#insight = insight;
    this.#sender = new Sender(insight, { peers, leaving: node.signal });
    this.#subscriptions = new Subscriptions(node.signal);
    this.#answering = new Answering(insight.host, node.signal);
    const incoming = new Incoming({
      insight,
      sender: this.#sender,
      subscriptions: this.#subscriptions,
      answering: this.#answering,
      asking: this.#asking,
      leaving: node.signal,
    });
    peers.extend(incoming);
    node.signal.addEventListener("abort", this.#sender.announce(), { once: true });
  }

  /** The number of received messages that subscriptions dropped because their reader was too far behind. */
  get dropped(): number {
    return this.#subscriptions.dropped;
  }

  /**
   * Sends a message to all active members that use messages, this one excepted unless `includeSelf` is true. Each receives
   * it once or not at all, and one that joins later does not. Resolves once it was sent or skipped, at the latest after
   * `timeout`: a caller that waits for it is as fast as the slowest member. Never rejects because of a member; rejects with
   * the signal's reason, which recalls what was not sent.
   *
   * @throws {HearsayError} and sends nothing: code `invalid_key` for a topic that is not a well-formed text of 1 to 256
   * bytes; `invalid_value` for a payload that is not JSON; `too_large` for a message over 64 KiB or a sixteenth of
   * `maxMessageBytes`; `busy` with 256 calls under way; `stopped` once this member leaves; `blocked` if another process uses
   * its id. {@linkcode ConfigurationError} for an invalid option.
   *
   * @example
   * ```ts
   * import { join } from "@hearsay/gossip";
   * import { messagesOf } from "@hearsay/gossip/messages";
   *
   * await using node = await join({ cluster: "shop", listen: { port: 0 } });
   * const { sent, skipped } = await messagesOf(node).broadcast("cache.clear", { key: "prices" });
   * console.assert(sent.length === 0 && skipped.length === 0); // It is alone.
   * ```
   */
  async broadcast(topic: string, payload: unknown, options: BroadcastOptions = {}): Promise<BroadcastResult> {
    assertTopic(topic);
    assertOptions(options, CALL);
    const { value, json } = copiedPayload("A payload", payload);
    const content = topicContent(topic, json);
    return await this.#call(content, options, async (signal) => {
      const sent: string[] = [];
      const skipped: Skipped[] = [];
      if (options.includeSelf) {
        // First: own subscribers would otherwise wait for the slowest member, and see messages in another order.
        this.#subscriptions.deliver(Object.freeze({ topic, payload: value, memberId: this.#node.id }));
        sent.push(this.#node.id);
      }
      const others = this.#others();
      const sendings = await Promise.all(
        others.map((member) => this.#sender.send(member, content, { signal })),
      );
      for (const [index, { outcome }] of sendings.entries()) {
        const memberId = others[index]!.id;
        if (outcome === "sent") sent.push(memberId);
        else skipped.push({ memberId, reason: outcome });
      }
      return { sent, skipped };
    });
  }

  /**
   * Asks members a question and gathers their answers. Resolves once every member of the audience answered or cannot
   * answer, at the latest after `timeout`. Each member answers once or not at all; a member without an answer may still have
   * got the question. Rejects with the signal's reason, or with code `stopped` when this member begins to leave.
   *
   * @throws {HearsayError} as {@linkcode Messages.broadcast}; {@linkcode ConfigurationError} for an invalid audience.
   *
   * @example
   * ```ts
   * import { join } from "@hearsay/gossip";
   * import { messagesOf } from "@hearsay/gossip/messages";
   *
   * await using node = await join({ cluster: "shop", listen: { port: 0 } });
   * const messages = messagesOf(node);
   * messages.answer("load", () => 0.3);
   * const { answers } = await messages.ask("all", { topic: "load" }, { includeSelf: true, timeout: 1_000 });
   * console.assert(answers.get(node.id) === 0.3);
   * ```
   */
  async ask<T = JsonValue>(audience: Audience, question: Ask, options: AskOptions = {}): Promise<Answers<T>> {
    assertAudience(audience);
    assertAsk(question);
    assertOptions(options, CALL);
    const { topic, payload = null } = question;
    const { value, json }: JsonCopy = copiedPayload("A question", payload);
    const within = options.timeout ?? this.#defaultTimeout;
    const asked = this.#asking.begin();
    const content = questionContent({ id: asked.id, topic, within, json });
    try {
      return await this.#call(content, options, async (signal) => {
        const { members, unknown } = this.#audienceOf(audience, options.includeSelf ?? false);
        const ends = AbortSignal.any([signal, this.#node.signal]);
        const outcomes = await Promise.all(members.map(async (member) => {
          const outcome = member.isSelf
            ? await this.#askSelf({ id: asked.id, topic, payload: value }, { within, signal: ends })
            : await asked.askOne(member, { sender: this.#sender, content, signal: ends });
          return [member.id, outcome] as const;
        }));
        this.#node.signal.throwIfAborted();
        return gathered<T>(outcomes, unknown);
      });
    } finally {
      asked.end();
    }
  }

  /**
   * Streams the messages of a topic, from now on. Ends when this member begins to leave, the signal is aborted or the stream
   * is canceled. A reader with 1,024 unread messages, or some 4 MiB of them, loses the newest: see
   * {@linkcode Messages.dropped}.
   *
   * @throws {HearsayError} with code `invalid_key` for an invalid topic, and `busy` above 1,024 subscriptions.
   */
  subscribe<T = JsonValue>(topic: string, options: WaitOptions = {}): ReadableStream<Received<T>> {
    assertTopic(topic);
    assertOptions(options, WAIT);
    // Another program sent the payloads: their type is the caller's assumption.
    return this.#subscriptions.stream(topic, options) as ReadableStream<Received<T>>;
  }

  /**
   * Calls a function with each message of a topic, from now on; returns a handle that ends it. An error of the function is
   * an event `CallbackFailed`. The function has no queue: it is called as messages come.
   *
   * @throws {HearsayError} as {@linkcode Messages.subscribe}, and with code `stopped` once this member leaves.
   */
  onMessage<T = JsonValue>(topic: string, callback: (received: Received<T>) => unknown): Disposable {
    assertTopic(topic);
    assertNone(FUNCTION("callback", callback));
    this.#node.signal.throwIfAborted();
    const { host } = this.#insight;
    const remove = this.#subscriptions.listen(topic, (received) => {
      host.callLater(`a message of ${JSON.stringify(topic)}`, () => callback(received as Received<T>));
    });
    return { [Symbol.dispose]: remove };
  }

  /**
   * Answers the questions of a topic; returns a handle that ends it. The answer is any JSON value, and `undefined`
   * counts as null. An error is sent to the asker, at most 256 characters of it, and is an event `CallbackFailed`. At
   * most 64 questions are answered at a time, 16 of one member; the asker of a further question gets `busy`.
   *
   * @throws {HearsayError} with code `invalid_key` for an invalid topic, `busy` if another function answers it, and
   * `stopped` once this member leaves.
   */
  answer(topic: string, answer: AnswerFunction): Disposable {
    assertTopic(topic);
    assertNone(FUNCTION("answer", answer));
    this.#node.signal.throwIfAborted();
    return { [Symbol.dispose]: this.#answering.add(topic, answer) };
  }

  /** Runs a call within its time; a limit on calls bounds what they hold. */
  async #call<R>(
    { text }: Content,
    { signal, timeout = this.#defaultTimeout }: BroadcastOptions,
    run: (signal: AbortSignal) => Promise<R>,
  ): Promise<R> {
    const { host: { runtime, view }, config } = this.#insight;
    signal?.throwIfAborted();
    this.#node.signal.throwIfAborted();
    if (view.isFenced) {
      throw new HearsayError("blocked", "Another process uses this member's id; nothing was sent.");
    }
    assertSize(text, config.maxMessageBytes);
    if (this.#calls >= MAX_CALLS) {
      throw new HearsayError("busy", `At most ${MAX_CALLS} calls may be under way; nothing was sent.`);
    }
    this.#calls++;
    using deadline = deadlineAfter(runtime, timeout, "A message", signal ? { signal } : {});
    try {
      const result = await run(deadline.signal);
      signal?.throwIfAborted();
      return result;
    } finally {
      this.#calls--;
    }
  }

  async #askSelf(
    { id, topic, payload }: { readonly id: number; readonly topic: string; readonly payload: JsonValue },
    { within, signal }: { readonly within: number; readonly signal: AbortSignal },
  ): Promise<Outcome> {
    const memberId = this.#node.id;
    const reply = await this.#answering.reply({ topic, payload, memberId }, { within, signal });
    if (!reply) return { reason: "timeout" };
    if ("value" in reply) {
      const mostBytes = maxContentBytesOf(undefined, this.#insight.config.maxMessageBytes);
      const isTooLarge = utf8Length(answerContent(id, reply.json).text) > mostBytes;
      return isTooLarge ? { reason: "too_large" } : { value: reply.value };
    }
    return { reason: reply.error, ...(reply.reason === undefined ? {} : { message: reply.reason }) };
  }

  get #defaultTimeout(): number {
    return DEFAULT_TIMEOUTS * this.#insight.config.gossipRequestTimeout;
  }

  /** The other active members. */
  #others(): MemberView[] {
    return this.#node.members.filter((member) => !member.isSelf && isAlive(member));
  }

  /** The active members of an audience, and its ids that are not those of active members. */
  #audienceOf(
    audience: Audience,
    includeSelf: boolean,
  ): { readonly members: readonly MemberView[]; readonly unknown: readonly string[] } {
    const self = this.#node.members.filter(({ isSelf }) => isSelf);
    const members = includeSelf ? [...this.#others(), ...self] : this.#others();
    if (audience === "all") return { members, unknown: [] };
    if ("kinds" in audience) {
      const { kinds } = audience;
      return {
        members: members.filter(({ member }) => kinds.some((kind) => member?.kinds.includes(kind))),
        unknown: [],
      };
    }
    const ids = new Set(audience.members);
    const named = [...this.#others(), ...self].filter(({ id }) => ids.delete(id));
    return { members: named, unknown: [...ids] };
  }
}
