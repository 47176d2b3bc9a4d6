/**
 * Converts the errors of Node's sockets to the texts of Deno's errors, which `dial_failure.ts` explains.
 *
 * @module
 */

/** The text if a machine refuses a connection. */
export const CONNECTION_REFUSED = "connection refused";

/** Codes of invalid certificates. */
const CERTIFICATES: ReadonlyMap<string, string> = new Map([
  ["CERT_HAS_EXPIRED", "Expired"],
  ["CERT_NOT_YET_VALID", "NotValidYet"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "UnknownIssuer"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "NotValidForName"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "UnknownIssuer"],
  ["UNABLE_TO_GET_ISSUER_CERT", "UnknownIssuer"],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "UnknownIssuer"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UnknownIssuer"],
]);

/** Returns the text of an error. */
export function textOfError(error: Error & { readonly code?: string }): string {
  const { code = "", message } = error;
  const status = /unexpected server response: (\d{3})/i.exec(message)?.[1];
  if (status !== undefined) return `status code: ${status}`;
  if (code === "ECONNREFUSED") return CONNECTION_REFUSED;
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "dns error";
  const fault = CERTIFICATES.get(code);
  if (fault !== undefined) return `invalid peer certificate: ${fault}`;
  if (code.startsWith("HPE_")) return "invalid HTTP version";
  if (code === "EPROTO" || code.startsWith("ERR_SSL_")) return `corrupt message (${message || code})`;
  return message || code;
}
