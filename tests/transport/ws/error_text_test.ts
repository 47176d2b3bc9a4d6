import { assertEquals } from "../../../deps/std_assert.ts";
import { CONNECTION_REFUSED, textOfError } from "../../../transport/ws/error_text.ts";
import { dialError } from "../../../transport/web_socket/dial_failure.ts";

/** The code and the reason of a failed dial with this error. */
function explained(message: string, code?: string): string {
  const text = textOfError(Object.assign(new Error(message), code === undefined ? {} : { code }));
  const url = new URL("wss://h:1/gossip");
  const error = dialError({ url, text, isRefused: text === CONNECTION_REFUSED, hasToken: true });
  return `${error.code}: ${error.message.replace(url.href, "").trim()}`;
}

Deno.test("errors: Node's socket errors get the same explanations as Deno's", () => {
  const cases: readonly (readonly [string, string | undefined, string])[] = [
    ["Unexpected server response: 503", undefined, "connection: accepts no connection now (503)"],
    ["Unexpected server response: 403", undefined, "refused: refused this member (403)."],
    [
      "connect ECONNREFUSED",
      "ECONNREFUSED",
      "connection: could not be reached: connection refused; no process",
    ],
    ["", "ECONNREFUSED", "connection: could not be reached: connection refused; no process"],
    ["getaddrinfo ENOTFOUND h", "ENOTFOUND", "connection: could not be reached: the name h has no address"],
    [
      "self-signed certificate",
      "SELF_SIGNED_CERT_IN_CHAIN",
      "connection: could not be reached: invalid peer certificate: UnknownIssuer. `tls.caCerts`",
    ],
    [
      "certificate has expired",
      "CERT_HAS_EXPIRED",
      "connection: could not be reached: invalid peer certificate: Expired.",
    ],
    ["wrong version number", "EPROTO", "connection: was dialed with TLS, and the other side does not"],
    ["Server sent no subprotocol", undefined, "incompatible: does not speak the subprotocol"],
    ["", "ETIMEDOUT", "connection: could not be reached: ETIMEDOUT."],
  ];
  for (const [message, code, start] of cases) {
    assertEquals(explained(message, code).slice(0, start.length), start);
  }
});
