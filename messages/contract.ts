/**
 * The words of messages: what is sent, received, asked and answered.
 *
 * @module
 */

import type { JsonValue } from "../engine/types.ts";
import type { WaitOptions } from "../gossiper/contract.ts";

/** A received message. Frozen. */
export interface Received<T = JsonValue> {
  /** The topic. */
  readonly topic: string;
  /** The payload. Another program sent it: its type is an assumption. */
  readonly payload: T;
  /** The sender's id: that of the member at the other end of the connection, which the handshake has checked. */
  readonly memberId: string;
}

/** A received question. */
export interface Question<T = JsonValue> extends Received<T> {
  /** Aborted when the asker waits no longer, when its connection ends, or when this member leaves. */
  readonly signal: AbortSignal;
}

/** Answers the questions of a topic with any JSON value, or a promise of one. An error is sent to the asker. */
export type AnswerFunction = (question: Question) => unknown;

/**
 * The reason for a message that was not sent.
 *
 * - `blocked`: the member is blocked, or is no member any more.
 * - `congested`: the member takes messages too slowly: its queue is full, or the time was up.
 * - `disconnected`: the connection ended before.
 * - `too_large`: the member takes only smaller messages.
 * - `unreachable`: there is no connection, and the member could not be dialed in time.
 * - `unsupported`: the member does not use `@hearsay/gossip/messages`, or has not said so yet.
 */
export type SkipReason =
  | "blocked"
  | "congested"
  | "disconnected"
  | "too_large"
  | "unreachable"
  | "unsupported";

/** A member that a message was not sent to. */
export interface Skipped {
  /** Its id. */
  readonly memberId: string;
  /** The reason. */
  readonly reason: SkipReason;
}

/** The outcome of a broadcast. Sent is not received: the connection or the member may end before. */
export interface BroadcastResult {
  /** The ids of the members that it was sent to. */
  readonly sent: readonly string[];
  /** The other active members, each with the reason. */
  readonly skipped: readonly Skipped[];
}

/** Options of `broadcast`. */
export interface BroadcastOptions extends WaitOptions {
  /** True: this member's own subscribers receive it too. Default: false. */
  readonly includeSelf?: boolean;
  /**
   * The time to send it, in milliseconds, from 1 to 600,000. Default: four times `gossipRequestTimeout`. Lower: a member
   * that must be dialed, or is slow for a moment, is skipped. Higher: one slow member delays the result.
   */
  readonly timeout?: number;
}

/** The members to ask: all active ones, those of some kinds, or those with some ids. */
export type Audience = "all" | { readonly kinds: readonly string[] } | {
  readonly members: readonly string[];
};

/** A question to ask. */
export interface Ask {
  /** The topic: a member answers with the function of this topic. */
  readonly topic: string;
  /** Any JSON value. Default: null. */
  readonly payload?: unknown;
}

/** Options of `ask`. */
export interface AskOptions extends WaitOptions {
  /** True: this member answers too. Default: false, except if the audience names its id. */
  readonly includeSelf?: boolean;
  /**
   * The time to gather answers, in milliseconds, from 1 to 600,000. Default: four times `gossipRequestTimeout`. Lower: slow
   * members are counted as silent. Higher: one silent member delays the result.
   */
  readonly timeout?: number;
}

/** A member without an answer. */
export interface Unanswered {
  /** Its id. */
  readonly memberId: string;
  /**
   * A {@linkcode SkipReason}: it was not asked, or its connection ended. `busy`: it answers too many questions already.
   * `failed`: its function threw. `no_handler`: it has no function for the topic. `timeout`: no answer came in time.
   * `unknown_member`: the audience names an id that is not an active member. `too_large`: the question or its answer is
   * too large.
   */
  readonly reason: SkipReason | "busy" | "failed" | "no_handler" | "timeout" | "unknown_member";
  /** With `failed`: the text of the error, at most 256 characters. Another process wrote it: see `printable`. */
  readonly message?: string;
}

/** The answers to a question. */
export interface Answers<T = JsonValue> {
  /** The answers by member id. Other programs gave them: their type is an assumption. */
  readonly answers: ReadonlyMap<string, T>;
  /** The members without an answer, each with the reason. */
  readonly unanswered: readonly Unanswered[];
}
