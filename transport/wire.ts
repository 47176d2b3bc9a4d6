/**
 * The wire format (rules P2, P3, P5, P7): one JSON text for each message. Pure and synchronous; what comes
 * in is hostile until it has been checked here, and is believed by everyone after.
 *
 * @module
 */

import { CLOSE, ConnectionClosed } from "../gossiper/errors.ts";
import type { Message } from "../gossiper/message.ts";
import { fitsBytes } from "./wire_check.ts";
import { readEnvelope, readMessage } from "./wire_read.ts";
import { messageText } from "./wire_write.ts";

export { MAX_ID_BYTES, MAX_KEY_BYTES, MAX_LISTED } from "./wire_check.ts";

/** Asks the peer's transport for a {@linkcode Pong} (rule P5). Never seen above the transport. */
export interface Ping {
  readonly type: "ping";
}

/** Answers a {@linkcode Ping}. Never seen above the transport. */
export interface Pong {
  readonly type: "pong";
}

/** What a receiver bounds. */
export interface WireLimits {
  /** The largest message, in bytes of UTF-8. */
  readonly maxMessageBytes: number;
}

/** The text of a {@linkcode Ping}. */
export const PING_TEXT = '{"type":"ping"}';
/** The text of a {@linkcode Pong}. */
export const PONG_TEXT = '{"type":"pong"}';

/**
 * The JSON text of a message.
 *
 * @example
 * ```ts
 * import { assertEquals } from "../deps/std_assert.ts";
 * import { encode } from "./wire.ts";
 *
 * assertEquals(encode({ type: "ack", id: "7", holds: new Map() }), '{"type":"ack","id":"7"}');
 * ```
 */
export function encode(message: Message | Ping | Pong): string {
  switch (message.type) {
    case "ping":
      return PING_TEXT;
    case "pong":
      return PONG_TEXT;
    default:
      return messageText(message);
  }
}

/**
 * Reads one message. Unknown fields are ignored; a message of an unknown type comes back with its name.
 * Values are not frozen: that is for whoever keeps them.
 *
 * @throws {ConnectionClosed} with close code 4413 where the text is larger than `maxMessageBytes` (it is
 * not parsed then), and with 4400 where it is not a message; the sentence says what is wrong, and where.
 *
 * @example
 * ```ts
 * import { assertThrows } from "../deps/std_assert.ts";
 * import { ConnectionClosed } from "../gossiper/errors.ts";
 * import { decode } from "./wire.ts";
 *
 * assertThrows(
 *   () => decode('{"type":"ack"}', { maxMessageBytes: 1024 }),
 *   ConnectionClosed,
 *   "id: must be a well-formed string of 1 to 256 bytes, was left out.",
 * );
 * ```
 */
export function decode(text: string, limits: WireLimits): Message | Ping | Pong {
  if (!fitsBytes(text, limits.maxMessageBytes)) {
    throw new ConnectionClosed(CLOSE.tooLarge, `A message is larger than ${limits.maxMessageBytes} bytes.`);
  }
  const { fields, type } = readEnvelope(parse(text));
  return type === "ping" || type === "pong" ? { type } : readMessage(fields, type);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ConnectionClosed(CLOSE.invalid, "A message is not JSON.", { cause });
  }
}
