/**
 * Asks a server for a WebSocket step by step, one layer after another, because a client socket reports less about a
 * refusal.
 *
 * @module
 */

import { messageOf } from "../../common/error_text.ts";
import { HearsayError } from "../../common/errors.ts";
import { unbracketed } from "../../common/host_names.ts";
import { abortable, deadlineAfter, type Runtime } from "../../common/runtime.ts";

/** The longest time for each layer, in milliseconds. */
export const LAYER_TIMEOUT_MS = 5_000;
/** The most bytes of an answer that are read: its headers, and a sentence. */
const MAX_BYTES = 16_384;

/** Options of {@linkcode askForUpgrade}. */
export interface UpgradeRequest {
  readonly subprotocol: string;
  readonly token: string | undefined;
  readonly caCerts: readonly string[] | undefined;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
}

/** An HTTP answer. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** The observation: the first layer that failed, or an answer. */
export type Seen =
  | { readonly layer: "tcp"; readonly error: unknown; readonly text: string }
  | { readonly layer: "tls"; readonly text: string; readonly address: string }
  /** The other side accepted the connection, but sent nothing in time. */
  | { readonly layer: "silent"; readonly address: string }
  /** The other side speaks no HTTP: these are its first bytes. */
  | { readonly layer: "http"; readonly bytes: Uint8Array; readonly address: string }
  | { readonly layer: "answer"; readonly answer: HttpAnswer; readonly address: string };

/** Asks for an upgrade at a URL. Rejects only with the signal's reason. */
export async function askForUpgrade(url: URL, request: UpgradeRequest): Promise<Seen> {
  let conn: Deno.TcpConn;
  const isSecure = url.protocol === "wss:";
  const port = Number(url.port || (isSecure ? 443 : 80));
  const hostname = unbracketed(url.hostname);
  try {
    conn = await within(request, (signal) => Deno.connect({ hostname, port, signal }));
  } catch (error) {
    request.signal.throwIfAborted();
    return { layer: "tcp", error, text: messageOf(error) };
  }
  const address = (conn.remoteAddr as Deno.NetAddr).hostname;
  let tls: Deno.TlsConn | undefined;
  try {
    if (isSecure) {
      const caCerts = request.caCerts ? [...request.caCerts] : [];
      const started = tls = await Deno.startTls(conn, { hostname, caCerts, alpnProtocols: ["http/1.1"] });
      await within(request, () => started.handshake());
    }
  } catch (error) {
    close(tls ?? conn);
    request.signal.throwIfAborted();
    return { layer: "tls", text: messageOf(error), address };
  }
  const open = tls ?? conn;
  try {
    return await within(request, () => exchange(open, url, { ...request, address }));
  } catch (error) {
    request.signal.throwIfAborted();
    const isLate = error instanceof HearsayError && error.code === "timeout";
    return isLate ? { layer: "silent", address } : { layer: "http", bytes: new Uint8Array(), address };
  } finally {
    close(open);
  }
}

async function within<T>(
  { runtime, signal }: UpgradeRequest,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  using deadline = deadlineAfter(runtime, LAYER_TIMEOUT_MS, "The answer", { signal });
  return await abortable(run(deadline.signal), deadline.signal);
}

async function exchange(
  conn: Deno.Conn,
  url: URL,
  { subprotocol, token, address }: UpgradeRequest & { readonly address: string },
): Promise<Seen> {
  const head = [
    `GET ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${btoa("hearsay doctor..")}`,
    `Sec-WebSocket-Protocol: ${subprotocol}`,
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
  ];
  await conn.write(new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`));
  const bytes = await read(conn);
  const answer = answerIn(new TextDecoder("latin1").decode(bytes));
  return answer ? { layer: "answer", answer, address } : { layer: "http", bytes, address };
}

/** Reads the headers, and the body of a refusal. */
async function read(conn: Deno.Conn): Promise<Uint8Array> {
  const buffer = new Uint8Array(MAX_BYTES);
  let length = 0;
  while (length < MAX_BYTES) {
    const count = await conn.read(buffer.subarray(length));
    if (count === null) break;
    length += count;
    const text = new TextDecoder("latin1").decode(buffer.subarray(0, length));
    if (!/^HTTP/.test(text.slice(0, 4))) break;
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) continue;
    const size = Number(/^content-length: *(\d+)/im.exec(text.slice(0, end))?.[1] ?? 0);
    if (/^HTTP\/\S+ 101/.test(text) || length >= end + 4 + size) break;
  }
  return buffer.slice(0, length);
}

function answerIn(text: string): HttpAnswer | undefined {
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const [first = "", ...lines] = head.split("\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1];
  if (status === undefined) return undefined;
  const headers = lines.map((line) => {
    const [name = "", ...value] = line.split(":");
    return [name.trim().toLowerCase(), value.join(":").trim()] as const;
  });
  return { status: Number(status), headers: new Map(headers), body: rest.join("\r\n\r\n").trim() };
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // The connection is closed already, or TLS has taken it over.
  }
}
