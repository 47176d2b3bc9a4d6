/**
 * How two Hearsay members talk over protoactor's remoting: letters to the actor `hearsay`, both ways on one stream,
 * each an `Any` that holds one message of `hearsay.v2`. It is an `Any` because every member of protoactor-go knows
 * that type: were one dialled by mistake, it would drop the letter, where a type that it does not know would end
 * its process.
 *
 * @module
 */

import { printable } from "../../gossiper/printable.ts";
import type { CloseInfo } from "../../gossiper/cluster.ts";
import { ANY } from "./definitions.ts";
import { type Letter, letterBytes } from "./letters.ts";

/** The actor that such letters go to. */
export const HEARSAY_ACTOR = "hearsay";
/** The name of the type of their bodies. */
export const ANY_TYPE = "google.protobuf.Any";

const PREFIX = "hearsay.v2/";
const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true });

/** What a letter between two Hearsay members says. */
export type Frame =
  /** The dialler asks for a connection. */
  | { readonly kind: "open" }
  /** The acceptor has made one. */
  | { readonly kind: "accepted" }
  /** A message, as its JSON text. */
  | { readonly kind: "message"; readonly text: string }
  /** The connection is over. */
  | { readonly kind: "close"; readonly info: CloseInfo };

/** The bytes of a frame. */
export function frameBytes(frame: Frame, address: string): Uint8Array {
  const body = frame.kind === "message"
    ? frame.text
    : frame.kind === "close"
    ? JSON.stringify(frame.info)
    : "";
  return letterBytes({
    target: { address, id: HEARSAY_ACTOR },
    type: ANY_TYPE,
    body: ANY.encode({ typeUrl: PREFIX + frame.kind, value: utf8.encode(body) }),
  });
}

/** Reads a frame; undefined where it is none. Throws an `Error` of any class where it cannot be read. */
export function readFrame(letter: Letter): Frame | undefined {
  if (letter.target.id !== HEARSAY_ACTOR || letter.type !== ANY_TYPE) return undefined;
  const { typeUrl, value } = ANY.decode(letter.body);
  const body = text.decode(Uint8Array.from(value));
  switch (typeUrl) {
    case `${PREFIX}open`:
      return { kind: "open" };
    case `${PREFIX}accepted`:
      return { kind: "accepted" };
    case `${PREFIX}message`:
      return { kind: "message", text: body };
    case `${PREFIX}close`:
      return { kind: "close", info: readCloseInfo(JSON.parse(body)) };
    default:
      return undefined;
  }
}

function readCloseInfo(raw: unknown): CloseInfo {
  const { code, reason } = (raw ?? {}) as { readonly code?: unknown; readonly reason?: unknown };
  if (typeof code !== "number" || typeof reason !== "string") throw new TypeError("This closes nothing.");
  // A peer has written it.
  return { code, reason: printable(reason, 123) };
}
