/**
 * Frames between two Hearsay members on a stream of protoactor's remoting. Each frame is a letter to the
 * actor `hearsay` with an `Any` as its body. protoactor-go knows that type, so a Go member that was dialed by
 * mistake drops the letter; an unknown type would end its process.
 *
 * @module
 */

import { printable } from "../../common/printable.ts";
import type { CloseInfo } from "../../contracts/cluster.ts";
import { ANY } from "./definitions.ts";
import { type Letter, letterBytes } from "./letters.ts";

/** The target actor of all frames. */
export const HEARSAY_ACTOR = "hearsay";
/** The type of all frames. */
export const ANY_TYPE = "google.protobuf.Any";

const PREFIX = "hearsay.v2/";
const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true });

/** The contents of a letter between two Hearsay members. */
export type Frame =
  /** The dialer requests a connection. */
  | { readonly kind: "open" }
  /** The acceptor has accepted it. */
  | { readonly kind: "accepted" }
  /** A message, as its JSON text. */
  | { readonly kind: "message"; readonly text: string }
  /** The connection is over. */
  | { readonly kind: "close"; readonly info: CloseInfo };

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

/**
 * Reads a frame; undefined if the letter is not one. Throws an `Error` of any class if its bytes are invalid.
 */
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
  if (typeof code !== "number" || typeof reason !== "string") {
    throw new TypeError("A close frame needs code and reason.");
  }
  // A peer wrote the reason.
  return { code, reason: printable(reason, 123) };
}
