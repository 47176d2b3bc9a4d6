/**
 * The limits of messages. Each protects a receiver, or the heartbeats and the state on the same connection.
 *
 * @module
 */

/**
 * `maxMessageBytes` divided by this is the largest message. 16: 64 KiB by default, so that a heartbeat behind one waits for
 * half a second at 1 Mbit/s. Lower: longer waits.
 */
export const SIZE_DIVISOR = 16;
/** The largest message with any `maxMessageBytes`, in bytes. 64 KiB: half of the window. */
export const MAX_MESSAGE_BYTES: number = 64 * 1_024;
/** The longest topic, in bytes of UTF-8: as a member's id. */
export const MAX_TOPIC_BYTES = 256;

/** The most messages that were sent to a peer and that it has not confirmed. 16: below the 64 of its inbox. */
export const WINDOW_MESSAGES = 16;
/** The most bytes of such messages. 128 KiB: two messages of the largest default size. */
export const WINDOW_BYTES: number = 128 * 1_024;
/**
 * The messages after which the peer is asked to confirm them. 4: a quarter of the window, so that the window seldom
 * fills.
 */
export const MESSAGES_PER_CONFIRM = 4;
/** The bytes of messages after which the peer is asked to confirm them. */
export const BYTES_PER_CONFIRM: number = 32 * 1_024;
/** The request timeouts without a confirmation after which a peer is sent messages again: its confirmation was lost. */
export const WINDOW_TIMEOUTS = 4;

/** The most unsent messages to one peer; later ones are skipped as `congested`. */
export const MAX_UNSENT = 256;
/** The most bytes of unsent messages to one peer. */
export const MAX_UNSENT_BYTES: number = 1_024 * 1_024;
/** The part of a peer's message rate for messages. A quarter: pushes take a half, and rounds need the rest. */
export const RATE_DIVISOR = 4;

/** The most dials at once for messages to members without a connection. */
export const MAX_DIALS = 8;
/** The default time to send a message to all, or to gather answers, in request timeouts. 4: as for a dial. */
export const DEFAULT_TIMEOUTS = 4;
/** The longest time to send or to gather, in milliseconds: an answering member keeps a question for so long. */
export const MAX_TIMEOUT_MS = 600_000;

/** The most broadcasts and questions of this member that are not settled. */
export const MAX_CALLS = 256;
/** The most questions that this member answers at once. */
export const MAX_QUESTIONS = 64;
/** The most questions of one peer that this member answers at once, so that one peer cannot take all places. */
export const MAX_QUESTIONS_OF_PEER = 16;
/** The longest reason of a failed answer, in characters. */
export const MAX_REASON = 256;

/** The most unread messages of one subscription; later ones are dropped. */
export const MAX_UNREAD = 1_024;
/** The most bytes of memory for the unread messages of one subscription, approximately. */
export const MAX_UNREAD_BYTES: number = 4 * 1_024 * 1_024;
/** The most subscriptions of one member. */
export const MAX_SUBSCRIPTIONS = 1_024;
