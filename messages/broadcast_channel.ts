/**
 * The Web's `BroadcastChannel` between processes: `@hearsay/gossip/broadcast-channel`.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import { assertNone, describe, unknownNames } from "../options/rules.ts";
import { Gossiper, insightOf } from "../gossiper/gossiper.ts";
import type { JsonValue } from "../engine/types.ts";
import { assertSize, assertTopic, copiedPayload } from "./checks.ts";
import type { Received } from "./contract.ts";
import { type Messages, messagesOf } from "./messages.ts";
import { topicContent } from "./wire.ts";

/** The beginning of a channel's topic, so that no other topic of the program is a channel's by chance. */
const PREFIX = "broadcast-channel:";

/** Options of a {@linkcode BroadcastChannel}. */
export interface BroadcastChannelOptions {
  /** The member whose cluster the channel reaches: a node of `join`. */
  readonly node: Gossiper;
}

/** The channels of this process, by the messages of their member: each receives what the others of its name post. */
const LOCAL = new WeakMap<Messages, Map<string, Set<BroadcastChannel>>>();

/**
 * A channel with the interface of the Web's `BroadcastChannel`: every other channel of its name receives what it posts,
 * in this process and in all members that use `@hearsay/gossip/messages`. A message is JSON, not a structured clone: a
 * `Map`, a `Date` or `undefined` in it is a `DataCloneError`, and so is a message over 64 KiB or a sixteenth of
 * `maxMessageBytes`. `origin` of an event is the id of the member that posted.
 * Delivery is that of {@linkcode Messages.broadcast}: at most once, and `postMessage` does not report the receivers.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { BroadcastChannel } from "@hearsay/gossip/broadcast-channel";
 *
 * await using node = await join({ cluster: "shop", listen: { port: 0 } });
 * const one = new BroadcastChannel("prices", { node });
 * const two = new BroadcastChannel("prices", { node });
 * const received = Promise.withResolvers<unknown>();
 * two.onmessage = ({ data }) => received.resolve(data);
 * one.postMessage({ sku: 7 });
 * console.assert(JSON.stringify(await received.promise) === '{"sku":7}');
 * ```
 */
export class BroadcastChannel extends EventTarget {
  /** The name. */
  readonly name: string;
  readonly #messages: Messages;
  readonly #node: Gossiper;
  #handlers = new Map<string, { readonly given: unknown; readonly listener: (event: Event) => void }>();
  #isClosed = false;
  #subscription: Disposable | undefined;

  /**
   * Opens a channel; the end of the member closes it.
   *
   * @throws {HearsayError} with code `invalid_key` for a name that is not a well-formed text of 1 to 238 bytes, `not_started`
   * before the member's start, and `stopped` once it leaves.
   */
  constructor(name: string, options: BroadcastChannelOptions) {
    super();
    assertNone(unknownNames(undefined, options, { known: ["node"] }));
    const { node } = options;
    if (!(node instanceof Gossiper)) {
      const allowed = "a member, as `join` returns it";
      assertNone([{ field: "node", problem: `must be ${allowed}`, given: describe(node), allowed }]);
    }
    const topic = `${PREFIX}${name}`;
    if (name === "") assertTopic(name);
    assertTopic(topic);
    this.name = name;
    this.#node = node;
    this.#messages = messagesOf(node);
    this.#subscription = this.#messages.onMessage(topic, (received) => this.#receive(received));
    const channels = LOCAL.get(this.#messages) ?? new Map<string, Set<BroadcastChannel>>();
    LOCAL.set(this.#messages, channels);
    channels.set(topic, (channels.get(topic) ?? new Set()).add(this));
    node.signal.addEventListener("abort", this.#onLeave, { once: true });
  }

  /** Called with each message; `null` without a handler. */
  get onmessage(): ((this: BroadcastChannel, event: MessageEvent) => unknown) | null {
    return this.#handler("message");
  }

  set onmessage(handler: ((this: BroadcastChannel, event: MessageEvent) => unknown) | null) {
    this.#setHandler("message", handler);
  }

  /** Never called: a value that is not JSON is refused when it is posted. */
  get onmessageerror(): ((this: BroadcastChannel, event: MessageEvent) => unknown) | null {
    return this.#handler("messageerror");
  }

  set onmessageerror(handler: ((this: BroadcastChannel, event: MessageEvent) => unknown) | null) {
    this.#setHandler("messageerror", handler);
  }

  /**
   * Sends a message to all other channels of this name, at most once each.
   *
   * @throws {DOMException} named `InvalidStateError` if the channel is closed, and `DataCloneError` for a message that is not
   * JSON or is too large. A member with a lower `maxMessageBytes` does not receive a message above its own limit.
   */
  postMessage(message: unknown): void {
    if (this.#isClosed) {
      throw new DOMException("The channel is closed; nothing was sent.", "InvalidStateError");
    }
    const topic = `${PREFIX}${this.name}`;
    const data = this.#cloned(topic, message);
    const received = { topic, payload: data, memberId: this.#node.id };
    for (const channel of LOCAL.get(this.#messages)?.get(topic) ?? []) {
      if (channel !== this) queueMicrotask(() => channel.#receive(received));
    }
    this.#messages.broadcast(topic, data).catch((error) => {
      // The member leaves, or too many calls are under way; the Web's channel reports nothing either.
      if (!(error instanceof HearsayError)) throw error;
    });
  }

  /** Closes the channel: it receives nothing any more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#subscription?.[Symbol.dispose]();
    this.#node.signal.removeEventListener("abort", this.#onLeave);
    const channels = LOCAL.get(this.#messages);
    const same = channels?.get(`${PREFIX}${this.name}`);
    same?.delete(this);
    // mutant replace-value: an empty set would only take memory.
    if (same?.size === 0) channels?.delete(`${PREFIX}${this.name}`);
  }

  /** Closes the channel. */
  [Symbol.dispose](): void {
    this.close();
  }

  readonly #onLeave = (): void => this.close();

  #receive({ payload, memberId }: Received): void {
    if (this.#isClosed) return;
    this.dispatchEvent(new MessageEvent("message", { data: payload, origin: memberId }));
  }

  #handler(type: string): ((this: BroadcastChannel, event: MessageEvent) => unknown) | null {
    return (this.#handlers.get(type)?.given ?? null) as
      | ((this: BroadcastChannel, event: MessageEvent) => unknown)
      | null;
  }

  #setHandler(
    type: string,
    handler: ((this: BroadcastChannel, event: MessageEvent) => unknown) | null,
  ): void {
    const before = this.#handlers.get(type);
    if (before) this.removeEventListener(type, before.listener);
    this.#handlers.delete(type);
    if (typeof handler !== "function") return;
    const listener = (event: Event) => void handler.call(this, event as MessageEvent);
    this.#handlers.set(type, { given: handler, listener });
    this.addEventListener(type, listener);
  }

  /** A copy of a message, as its receivers get it. Throws before any channel of this process receives it. */
  #cloned(topic: string, message: unknown): JsonValue {
    try {
      const { value, json } = copiedPayload("A message", message);
      assertSize(topicContent(topic, json).text, insightOf(this.#node).config.maxMessageBytes);
      return value;
    } catch (error) {
      throw new DOMException((error as Error).message, "DataCloneError");
    }
  }
}
