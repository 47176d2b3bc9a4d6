/**
 * Refusals: the messages to send, and the error for a received refusal.
 *
 * @module
 */

import type { BlockReason } from "../engine/types.ts";
import { type ErrorCode, HearsayError } from "../common/errors.ts";
import type { Refusal, RefusalCode } from "./message.ts";

const ERROR_CODE: { readonly [code in RefusalCode]: ErrorCode } = {
  blocked: "blocked",
  busy: "busy",
  id_conflict: "refused",
  incompatible: "incompatible",
  invalid: "refused",
  other: "refused",
  stopped: "refused",
  unknown_member: "unknown_member",
  wrong_cluster: "refused",
};

/** A peer refused a request, and changed nothing. */
export class PeerRefused extends HearsayError {
  /** The class's own name, also after minification. */
  override readonly name: string = "PeerRefused";
  /** The code in the peer's message. */
  readonly refusal: RefusalCode;
  /** With `blocked`: the reason of the block. */
  readonly reason: BlockReason | undefined;

  /** Makes the error of a received refusal. */
  constructor(refusal: Refusal, options?: ErrorOptions) {
    super(ERROR_CODE[refusal.code], `The peer refused (${refusal.code}): ${refusal.message}`, options);
    this.refusal = refusal.code;
    this.reason = refusal.reason;
  }
}

/** Makes a refusal to send. */
export function refuse(
  code: RefusalCode,
  message: string,
  details: Pick<Refusal, "reason" | "incarnation" | "settings" | "state"> = {},
): Refusal {
  return { type: "error", code, message, ...details };
}
