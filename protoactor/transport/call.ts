/**
 * A gRPC call as a duplex of web streams, and the client and server of such calls.
 *
 * It uses Deno's `fetch` and `Deno.serve`, which speak HTTP/2 in clear text in both directions at once.
 * gRPC's library for Node runs under Deno 2.9 too, but a peer that shuts down can abort the whole process:
 * nghttp2 aborts on its GOAWAY (denoland/deno#36788, seen here once in a dozen departures). gRPC adds five
 * bytes before each message. The trailers at the end of a call are left out, because `Deno.serve` cannot send
 * them. The peer then sees a broken call, which both sides treat like its end.
 *
 * @module
 */

import { unbracketed } from "../../common/host_names.ts";
import { assertMayConnect } from "../../common/permission.ts";
import type { Runtime } from "../../common/runtime.ts";
import { type ListenFailure, type NetAddress, serve } from "../../transport/listening.ts";

/** The only method of protoactor's remoting that members call. */
const PATH = "/remote.Remoting/Receive";
const CONTENT_TYPE = "application/grpc";
/** One byte for the compression flag, four for the length. */
const HEAD_BYTES = 5;

/** A bidirectional stream of whole messages. */
export interface Call {
  /** Messages from the other side. It errors if the call breaks. */
  readonly readable: ReadableStream<Uint8Array>;
  /**
   * Messages to the other side. A write resolves when there is room for the next one; closing ends this
   * direction.
   */
  readonly writable: WritableStream<Uint8Array>;
  /** The address of the other side, for logs. */
  readonly remote: string;
  /** Ends the call at once and drops pending messages. */
  cancel(): void;
}

/** Limits of a call. */
export interface CallLimits {
  /** The largest message that is read, in bytes. */
  readonly maxBytes: number;
}

/** Options of {@linkcode Calls.listen}. */
export interface ListenOptions extends CallLimits {
  readonly hostname: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly onCall: (call: Call) => void;
  /** Returns a sentence with the reason to refuse a client, or `undefined` to accept it. */
  readonly whyRefused?: (request: Request, remote: NetAddress) => string | undefined;
  /** Called when the server stops accepting for now, see {@linkcode ListenFailure}. Must not throw. */
  readonly onListenFailed?: (failure: ListenFailure) => void;
  readonly runtime?: Runtime;
}

/** A server of calls. */
export interface Listening {
  /** The listening port. */
  readonly port: number;
  /** Ends every open call and stops listening. */
  close(): Promise<void>;
}

/** The client and the server of calls. */
export interface Calls {
  /** Begins a call to an address (`host:port`). Its streams error if the address does not answer. */
  open(address: string, limits: CallLimits): Call;
  /** Starts a server. Throws or rejects if the port is taken. */
  listen(options: ListenOptions): Promise<Listening>;
}

/** Calls by gRPC over HTTP/2 in clear text. */
export const grpcCalls: Calls = { open, listen };

function open(address: string, { maxBytes }: CallLimits): Call {
  const outgoing = framing();
  const incoming = unframing(maxBytes);
  const ending = new AbortController();
  const init = {
    method: "POST",
    headers: { "content-type": CONTENT_TYPE, te: "trailers" },
    body: outgoing.readable,
    redirect: "error" as const,
    // Without the signal, a canceled call would stay open while it connects, or until the other side ends
    // it.
    signal: ending.signal,
  };
  converse(new URL(`http://${address}${PATH}`), init, incoming.writable).catch((error) => {
    incoming.error(error);
    outgoing.error(error);
  });
  const cancel = () => {
    outgoing.error(ENDED);
    incoming.error(ENDED);
    ending.abort(ENDED);
  };
  return { readable: incoming.readable, writable: outgoing.writable, remote: address, cancel };
}

/** Resolves when the other side has ended its direction. */
async function converse(url: URL, init: RequestInit, incoming: WritableStream<Uint8Array>): Promise<void> {
  assertMayConnect(url);
  const { hostname, port } = url;
  // The peer as its own proxy: otherwise `fetch` would use the proxy of the environment.
  const itself = {
    transport: "tcp" as const,
    hostname: unbracketed(hostname),
    port: Number(port || 80),
  };
  using client = Deno.createHttpClient({ http1: false, http2: true, proxy: itself });
  const response = await fetch(url, { ...init, client });
  const isGrpc = response.headers.get("content-type")?.startsWith(CONTENT_TYPE);
  if (response.status === 200 && isGrpc && response.body) return await response.body.pipeTo(incoming);
  await response.body?.cancel();
  throw new TypeError(`Expected a gRPC response; got status ${response.status}.`);
}

async function listen({ maxBytes, onCall, whyRefused, ...options }: ListenOptions): Promise<Listening> {
  const ending = new AbortController();
  const server = serve({ ...options, signal: ending.signal }, (request, { remoteAddr }) => {
    const isGrpc = request.headers.get("content-type")?.startsWith(CONTENT_TYPE);
    if (!isGrpc || !request.body || URL.parse(request.url)?.pathname !== PATH) {
      return new Response("Expected a gRPC call of protoactor's remoting.\n", { status: 415 });
    }
    const refused = whyRefused?.(request, remoteAddr);
    if (refused !== undefined) return new Response(`${refused}\n`, { status: 403 });
    const outgoing = framing();
    const incoming = unframing(maxBytes);
    request.body.pipeTo(incoming.writable).catch((error) => {
      incoming.error(error);
      outgoing.end();
    });
    const { hostname, port } = remoteAddr;
    const cancel = () => {
      incoming.error(ENDED);
      // The server would print an error here as an uncaught error of the program.
      outgoing.end();
    };
    onCall({
      readable: incoming.readable,
      writable: outgoing.writable,
      remote: `${hostname}:${port}`,
      cancel,
    });
    return new Response(outgoing.readable, { headers: { "content-type": CONTENT_TYPE } });
  });
  const close = async () => {
    ending.abort();
    await server.shutdown();
  };
  return await Promise.resolve({ port: server.addr.port, close });
}

/** One direction of a call, which can be ended while its streams are locked. */
interface Direction {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  error(reason: unknown): void;
  /** Ends `readable` and errors `writable`. */
  end(): void;
}

const ENDED = new Error("The call was ended.");

/** Frames each message. A write waits until the frames before it were sent. */
function framing(): Direction {
  return direction((message, controller) => {
    const frame = new Uint8Array(HEAD_BYTES + message.length);
    new DataView(frame.buffer).setUint32(1, message.length);
    frame.set(message, HEAD_BYTES);
    controller.enqueue(frame);
  });
}

/**
 * Joins chunks and splits them into messages. Chunks are copied together because each chunk keeps a buffer of
 * 64 KiB alive: a peer that sends one byte at a time would use 64 KiB of memory for each byte.
 */
function unframing(maxBytes: number): Direction {
  let kept = new Uint8Array(0);
  let size = 0;
  const keep = (chunk: Uint8Array): void => {
    if (size + chunk.length > kept.length) {
      const grown = new Uint8Array(Math.max(2 * kept.length, size + chunk.length));
      grown.set(kept.subarray(0, size));
      kept = grown;
    }
    kept.set(chunk, size);
    size += chunk.length;
  };
  return direction((chunk, controller) => {
    keep(chunk);
    let at = 0;
    while (size - at >= HEAD_BYTES) {
      const length = new DataView(kept.buffer, at).getUint32(1);
      if (kept[at] !== 0) throw new RangeError("A message is compressed.");
      if (length > maxBytes) throw new RangeError(`A message is larger than ${maxBytes} bytes.`);
      const end = at + HEAD_BYTES + length;
      if (end > size) break;
      controller.enqueue(kept.slice(at + HEAD_BYTES, end));
      at = end;
    }
    if (at === 0) return;
    kept = kept.slice(at, size);
    size -= at;
  });
}

function direction(
  transform: (chunk: Uint8Array, controller: TransformStreamDefaultController<Uint8Array>) => void,
): Direction {
  let controller!: TransformStreamDefaultController<Uint8Array>;
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>({
    start: (given) => {
      controller = given;
    },
    transform,
  });
  return {
    readable,
    writable,
    error: (reason) => controller.error(reason),
    end: () => controller.terminate(),
  };
}
