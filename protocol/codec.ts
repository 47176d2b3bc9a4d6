/**
 * The wire format (rules P2, P3, P5, P7): one JSON text per message. Pure and synchronous. It checks every message from
 * a peer completely, so that later code need not check it.
 *
 * @module
 */

import { CLOSE, ConnectionClosed } from "../common/errors.ts";
import type { Message } from "./message.ts";
import { fitsBytes } from "./check.ts";
import { readEnvelope, readMessage } from "./read.ts";
import { messageText } from "./write.ts";

export { MAX_ID_BYTES, MAX_KEY_BYTES, MAX_LISTED } from "./check.ts";

/** Requests a {@linkcode Pong} from the peer's transport (rule P5). The gossiper never receives it. */
export interface Ping {
  /** The type of the message. */
  readonly type: "ping";
}

/** Answers a {@linkcode Ping}. The gossiper never receives it. */
export interface Pong {
  /** The type of the message. */
  readonly type: "pong";
}

/** The limits of a receiver. */
export interface WireLimits {
  /** The largest message, in bytes of UTF-8. */
  readonly maxMessageBytes: number;
}

/** The text of a {@linkcode Ping}. */
export const PING_TEXT = '{"type":"ping"}';
/** The text of a {@linkcode Pong}. */
export const PONG_TEXT = '{"type":"pong"}';

/**
 * Encodes a message as JSON text.
 *
 * @example
 * ```ts
 * import { encode } from "@hearsay/gossip/protocol";
 *
 * console.assert(encode({ type: "ack", id: "7", holds: new Map() }) === '{"type":"ack","id":"7"}');
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
 * Decodes one message. Unknown fields are ignored; a message of an unknown type is returned with its name. Values are
 * not frozen; the engine freezes the values that it stores.
 *
 * @throws {ConnectionClosed} with close code 4413 if the text is larger than `maxMessageBytes`; such a text is not
 * parsed. With 4400 if the text is not a valid message; the error names the field and the rule.
 *
 * @example
 * ```ts
 * import { decode } from "@hearsay/gossip/protocol";
 *
 * const { type } = decode('{"type":"ack","id":"7"}', { maxMessageBytes: 1024 });
 * console.assert(type === "ack");
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
