/**
 * Refusals: how a peer says no, and the error that it becomes here.
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

/** A peer refused a request; nothing of it was taken there. */
export class PeerRefused extends HearsayError {
  /** The class's own name, also after minification. */
  override readonly name: string = "PeerRefused";
  /** The peer's own word for it. */
  readonly refusal: RefusalCode;
  /** With `blocked`: why. */
  readonly reason: BlockReason | undefined;

  /** Makes an error of what the peer said. */
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
