/**
 * The errors of Node's sockets in the words of Deno's, which `dial_failure.ts` explains.
 *
 * @module
 */

/** The text of a machine that refuses a connection. */
export const CONNECTION_REFUSED = "connection refused";

/** Codes of certificates that no trusted authority has signed. */
const UNKNOWN_ISSUER = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** Returns the text of an error. */
export function textOfError(error: Error & { readonly code?: string }): string {
  const { code = "", message } = error;
  const status = /unexpected server response: (\d{3})/i.exec(message)?.[1];
  if (status !== undefined) return `status code: ${status}`;
  if (code === "ECONNREFUSED") return CONNECTION_REFUSED;
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "dns error";
  if (UNKNOWN_ISSUER.has(code)) return `${message || code} (UnknownIssuer)`;
  if (code.startsWith("HPE_")) return "invalid HTTP version";
  if (code === "EPROTO" || code.startsWith("ERR_SSL_")) return `corrupt message (${message || code})`;
  return message || code;
}
