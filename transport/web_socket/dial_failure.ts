/**
 * Explains why a dial failed. Deno's client socket reports it as text: an HTTP status, or an error of a lower layer.
 *
 * @module
 */

import { ConnectionRefused, HearsayError } from "../../common/errors.ts";

/** The failure of a dial. */
export interface DialFailure {
  readonly url: URL;
  /** The text of the client socket; empty in browsers. */
  readonly text: string;
  /** True if the machine refused the connection. */
  readonly isRefused: boolean;
  /** True if the dial had a token. */
  readonly hasToken: boolean;
}

/** The beginning of every text of Deno's client socket. */
const PREFIX = /^NetworkError: failed to connect to WebSocket: /;

/** Only the peer knows why it refused. */
const SEE_PEER = "The peer's ClientRefused has the reason.";

/** Returns the error of a failed dial. */
export function dialError(failure: DialFailure): HearsayError {
  const { url, text, isRefused } = failure;
  if (isRefused) {
    const why = "could not be reached: connection refused; no process listens there.";
    return new ConnectionRefused(`${url.href} ${why}`);
  }
  // Deno's client opens a socket without the requested subprotocol; other clients fail with this text.
  if (/subprotocol/.test(text)) {
    return new HearsayError(
      "incompatible",
      `${url.href} does not speak the subprotocol of this version. ${text}.`,
    );
  }
  const status = /status code: (\d{3})/.exec(text)?.[1];
  const code = status === "401" ? "unauthorized" : status === "403" ? "refused" : "connection";
  const why = status === undefined ? whyUnreachable(failure) : whyStatus(Number(status), failure);
  return new HearsayError(code, `${url.href} ${why}`);
}

function whyStatus(status: number, { hasToken }: DialFailure): string {
  switch (status) {
    case 401:
      return `refused this member (401). ${why401(hasToken)} ${SEE_PEER}`;
    case 403:
      return `refused this member (403). ${why403(hasToken)} ${SEE_PEER}`;
    case 426:
      return 'does not accept this protocol (426): its version is another, or a proxy drops the header "Upgrade".';
    case 502:
    case 504:
      return `is a proxy that reaches no member (${status}).`;
    case 503:
      return "accepts no connection now (503): the member there is at a limit, or has stopped.";
  }
  if (status >= 500) return `answered with the status ${status} in place of a WebSocket.`;
  return `is an HTTP server without a member at this path (${status}). Check that \`node.handler\` is mounted there, ` +
    "and that `gossipActorName` is the same on both sides.";
}

function why401(hasToken: boolean): string {
  if (!hasToken) return "The peer asks for a key, and this member has none (`authentication`).";
  return "Check that both have a common key (`authentication.keys`) and the same `cluster`, that the peer knows this " +
    "address as its own (`advertise`, `authentication.aliases`), and that the clocks agree.";
}

function why403(hasToken: boolean): string {
  if (hasToken) {
    return "The peer may have no keys (`authentication`), and this one has; both need a common key.";
  }
  return "Without keys (`authentication`) a member accepts only processes of its own machine, unless `insecure` is " +
    "set there.";
}

function whyUnreachable({ url, text }: DialFailure): string {
  const isSecure = url.protocol === "wss:";
  const plain = text.replace(PREFIX, "").replace(/\.$/, "") || "no reason given";
  if (!isSecure && plain.includes("invalid HTTP version")) {
    return "was dialed without TLS, and the other side does not answer in HTTP: it probably speaks wss.";
  }
  if (isSecure && plain.includes("corrupt message")) {
    return "was dialed with TLS, and the other side does not answer in TLS: it probably speaks ws.";
  }
  if (plain === "dns error") {
    return `could not be reached: the name ${url.hostname} has no address (dns error).`;
  }
  return `could not be reached: ${plain}.${hintOf(plain, isSecure)}`;
}

/** Over TLS a WebSocket may use HTTP/2. Then Deno does not report the status of a refusal. */
function hintOf(plain: string, isSecure: boolean): string {
  if (plain.includes("UnknownIssuer")) return " `tls.caCerts` must have its authority.";
  if (!isSecure || !plain.includes("stream error")) return "";
  return ` Over TLS this may also be a refusal for a wrong key, cluster or path. ${SEE_PEER}`;
}
