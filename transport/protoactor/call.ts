/**
 * One gRPC call as a duplex of web streams, and whoever answers or makes such calls.
 *
 * It is made of Deno's own `fetch` and `Deno.serve`, which speak HTTP/2 in clear text both ways at once. gRPC's library
 * for Node does too, but under Deno 2.9 a peer that shuts down can end the whole process with it: nghttp2 aborts when
 * it is told so (denoland/deno#36788, seen here once in a dozen departures). What gRPC adds to HTTP/2, where both
 * sides only ever send messages, is five bytes before each. What is left out are the trailers at the end of a call, which
 * a server of Deno cannot send: to a peer a call then has broken off, which here means the same as its end.
 *
 * @module
 */

import { unbracketed } from "../../gossiper/host_names.ts";
import { assertMayConnect } from "../../gossiper/permission.ts";
import type { Runtime } from "../../gossiper/runtime.ts";
import { type ListenFailure, serve } from "../listening.ts";

/** The one method of protoactor's remoting that members use. */
const PATH = "/remote.Remoting/Receive";
const CONTENT_TYPE = "application/grpc";
/** A byte that says whether it is compressed, and the length. */
const HEAD_BYTES = 5;

/** A conversation in whole messages. */
export interface Call {
  /** What the other side says; errors where the call breaks. */
  readonly readable: ReadableStream<Uint8Array>;
  /** What is said to it; a write resolves when there is room for the next, closing says that this was all. */
  readonly writable: WritableStream<Uint8Array>;
  /** Where the other side is, for people to read. */
  readonly remote: string;
  /** Ends the call at once, whatever is under way. */
  cancel(): void;
}

/** What bounds a call. */
export interface CallLimits {
  /** The largest message to be read, in bytes. */
  readonly maxBytes: number;
}

/** Where calls are answered. */
export interface ListenOptions extends CallLimits {
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly onCall: (call: Call) => void;
  /** Why a client is refused, as a sentence; `undefined` lets it in. */
  readonly whyRefused?: (request: Request, remote: Deno.NetAddr) => string | undefined;
  /** Hears that nobody is listened to for now, see {@linkcode ListenFailure}. Must not throw. */
  readonly onListenFailed?: (failure: ListenFailure) => void;
  readonly runtime?: Runtime;
}

/** Whoever answers calls. */
export interface Listening {
  /** The port that it listens on. */
  readonly port: number;
  /** Ends every call that is still open, and listens no more. */
  close(): Promise<void>;
}

/** How calls are made and answered. */
export interface Calls {
  /** Begins a call to an address (`host:port`). That nobody is there is told by its streams. */
  open(address: string, limits: CallLimits): Call;
  /** Answers calls. Throws, or rejects, where the port is taken. */
  listen(options: ListenOptions): Promise<Listening>;
}

/** Calls by gRPC over HTTP/2 in clear text. */
export const grpcCalls: Calls = { open, listen };

function open(address: string, { maxBytes }: CallLimits): Call {
  const said = framing();
  const heard = unframing(maxBytes);
  const ending = new AbortController();
  const init = {
    method: "POST",
    headers: { "content-type": CONTENT_TYPE, te: "trailers" },
    body: said.readable,
    redirect: "error" as const,
    // Its streams end nothing that has not connected yet, nor what the other side does not end.
    signal: ending.signal,
  };
  converse(new URL(`http://${address}${PATH}`), init, heard.writable).catch((error) => {
    heard.error(error);
    said.error(error);
  });
  const cancel = () => {
    said.error(ENDED);
    heard.error(ENDED);
    ending.abort(ENDED);
  };
  return { readable: heard.readable, writable: said.writable, remote: address, cancel };
}

/** Resolves when the other side has said all. */
async function converse(url: URL, init: RequestInit, heard: WritableStream<Uint8Array>): Promise<void> {
  assertMayConnect(url);
  const { hostname, port } = url;
  // Said to be reached by itself, so that no proxy that the environment names comes between members.
  const itself = {
    transport: "tcp" as const,
    hostname: unbracketed(hostname),
    port: Number(port || 80),
  };
  using client = Deno.createHttpClient({ http1: false, http2: true, proxy: itself });
  const response = await fetch(url, { ...init, client });
  const isGrpc = response.headers.get("content-type")?.startsWith(CONTENT_TYPE);
  if (response.status === 200 && isGrpc && response.body) return await response.body.pipeTo(heard);
  await response.body?.cancel();
  throw new TypeError(`It answers ${response.status}, and no gRPC.`);
}

async function listen({ maxBytes, onCall, whyRefused, ...options }: ListenOptions): Promise<Listening> {
  const ending = new AbortController();
  const server = serve({ ...options, signal: ending.signal }, (request, { remoteAddr }) => {
    const isGrpc = request.headers.get("content-type")?.startsWith(CONTENT_TYPE);
    if (!isGrpc || !request.body || URL.parse(request.url)?.pathname !== PATH) {
      return new Response("Only members of protoactor are answered here.\n", { status: 415 });
    }
    const refused = whyRefused?.(request, remoteAddr);
    if (refused !== undefined) return new Response(`${refused}\n`, { status: 403 });
    const said = framing();
    const heard = unframing(maxBytes);
    request.body.pipeTo(heard.writable).catch((error) => {
      heard.error(error);
      said.end();
    });
    const { hostname, port } = remoteAddr;
    const cancel = () => {
      heard.error(ENDED);
      // An error here would be printed by the server, as one of the program.
      said.end();
    };
    onCall({ readable: heard.readable, writable: said.writable, remote: `${hostname}:${port}`, cancel });
    return new Response(said.readable, { headers: { "content-type": CONTENT_TYPE } });
  });
  const close = async () => {
    ending.abort();
    await server.shutdown();
  };
  return await Promise.resolve({ port: server.addr.port, close });
}

/** One direction, and how it is broken off while its ends are locked. */
interface Direction {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  error(reason: unknown): void;
  /** Ends what can be read, and takes no more. */
  end(): void;
}

const ENDED = new Error("The call was ended.");

/** Messages become frames. A write waits until what was written before has been sent. */
function framing(): Direction {
  return direction((message, controller) => {
    const frame = new Uint8Array(HEAD_BYTES + message.length);
    new DataView(frame.buffer).setUint32(1, message.length);
    frame.set(message, HEAD_BYTES);
    controller.enqueue(frame);
  });
}

/**
 * Chunks, cut anywhere, become messages. What has come is copied together: a chunk of one byte stands in memory of
 * 64 KiB, so that who sends a message byte by byte would fill that with little.
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
