/**
 * Messages of given sizes.
 *
 * @module
 */

import type { Ack, Message } from "../../../protocol/message.ts";
import { encode } from "../../../protocol/codec.ts";

export const ACK: Ack = { type: "ack", id: "1", holds: new Map() };

export function ackOf(id: string | number): Ack {
  return { ...ACK, id: String(id) };
}

/** A message whose text takes exactly this many bytes. */
export function messageOf(bytes: number, filling: string = "x"): Message {
  const refusal = (message: string): Message => ({ type: "error", code: "busy", message });
  const rest = bytes - encode(refusal("")).length;
  const size = new TextEncoder().encode(filling).length;
  return refusal(filling.repeat(Math.floor(rest / size)) + "x".repeat(rest % size));
}

export async function readAll(readable: ReadableStream<Message>): Promise<Message[]> {
  return await Array.fromAsync(readable);
}
