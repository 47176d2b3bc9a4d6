/**
 * The requests of Node's server as web requests, and web responses for its sockets.
 *
 * @module
 */

import { type Duplex, type IncomingMessage, STATUS_CODES } from "../../deps/node_server.ts";
import { bracketed } from "../../common/host_names.ts";
import type { NetAddress } from "../listening.ts";

/** The socket of a request; with TLS it has `encrypted`. */
type RequestSocket = IncomingMessage["socket"] & { readonly encrypted?: boolean };

/**
 * Makes a web request from the head of a request. It includes all lines of a header, because a check must not see only
 * the first of two lines.
 *
 * @throws {TypeError} for a method or a header that a web request cannot have.
 */
export function requestOf(message: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers();
  for (let at = 0; at + 1 < message.rawHeaders.length; at += 2) {
    headers.append(message.rawHeaders[at]!, message.rawHeaders[at + 1]!);
  }
  const { encrypted, localAddress = "", localPort } = message.socket as RequestSocket;
  const host = headers.get("host") ?? `${bracketed(localAddress)}:${localPort}`;
  const target = message.url ?? "";
  const given = target.startsWith("/") ? `${encrypted ? "https" : "http"}://${host}${target}` : target;
  // A host with such characters could choose the path.
  const url = /[\s/\\?#@]/.test(host) ? null : URL.parse(given);
  const request = new Request(url ?? "http://invalid.invalid/", {
    method: message.method ?? "GET",
    headers,
    signal,
  });
  // The handler refuses the request, like any request with an invalid host.
  if (url === null) Object.defineProperty(request, "url", { value: "invalid" });
  return request;
}

/** The client's address; `undefined` if the client is gone or has no address. */
export function remoteAddressOf({ socket }: IncomingMessage): NetAddress | undefined {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  return { transport: "tcp", hostname: remoteAddress, port: remotePort };
}

/** Answers a request for an upgrade with another response, and ends its connection. */
export async function refuseUpgrade(socket: Duplex, response: Response): Promise<void> {
  const { status, headers } = response;
  const body = new Uint8Array(await response.arrayBuffer());
  const fields = new Headers(headers);
  fields.set("connection", fields.has("upgrade") ? "upgrade, close" : "close");
  fields.set("content-length", `${body.length}`);
  const lines = Array.from(fields, ([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n`);
  socket.end(body, () => socket.destroy());
}
