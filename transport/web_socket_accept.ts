/**
 * Answering a request to open a WebSocket: what is refused before the upgrade (rule P1), and the socket
 * of what is not.
 *
 * @module
 */

import { CLOSE } from "../gossiper/errors.ts";
import type { Runtime } from "../gossiper/runtime.ts";
import { destroySocket } from "./web_socket_destroy.ts";
import { SUBPROTOCOL } from "./web_socket_dial.ts";

/**
 * Decides about a client before the upgrade, for example by a token in a header: `undefined` lets it in,
 * 401 asks it to say who it is, 403 refuses it. An exception refuses it too.
 */
export type Authorise = (request: Request) => Refused | undefined | Promise<Refused | undefined>;

/**
 * After half of so many seconds without a message Deno sends a ping, and after the other half it closes the socket. 60: a
 * connection of an idle cluster of 32 carries a heartbeat in some nine seconds, and proxies close what is silent for a
 * minute. Fewer: pings wake both processes for nothing. More: proxies close connections that are in use.
 */
const IDLE_TIMEOUT_S = 60;

/** The statuses that an {@linkcode Authorise} may answer with. */
export type Refused = 401 | 403;

/** The answer that refuses a request which is no upgrade, or does not offer the subprotocol. */
export function refuseWithoutUpgrade(request: Request): Response | undefined {
  const upgrade = request.headers.get("upgrade")?.toLowerCase() === "websocket";
  const offered = request.headers.get("sec-websocket-protocol")?.split(",").map((name) => name.trim()) ?? [];
  if (upgrade && offered.includes(SUBPROTOCOL)) return undefined;
  return new Response(`Only a WebSocket that offers the subprotocol ${SUBPROTOCOL} is served here.\n`, {
    status: 426,
    headers: { upgrade: "websocket", connection: "upgrade" },
  });
}

/** The answer that refuses a client, where `authorise` says so. */
export async function refuseClient(
  request: Request,
  authorise: Authorise,
): Promise<Response | undefined> {
  let status: Refused | undefined;
  try {
    status = await authorise(request);
  } catch {
    status = 403;
  }
  if (status === undefined) return undefined;
  const text = status === 401 ? "This client did not say who it is.\n" : "This client is refused.\n";
  return new Response(text, { status });
}

/** What an {@linkcode upgrade} needs beside the request. */
export interface UpgradeOptions {
  readonly runtime: Runtime;
  /** How long, in milliseconds, the answer may take to reach the client. */
  readonly timeout: number;
  /** Gives up on sockets that are not open yet. */
  readonly signal: AbortSignal;
  /** Called with the socket once it is open; not at all where the client is gone, or too late. */
  readonly opened: (socket: WebSocket) => void;
  /** Called instead where it never opens. */
  readonly failed: () => void;
}

/** Upgrades a request. */
export function upgrade(request: Request, options: UpgradeOptions): Response {
  const { runtime, timeout, signal, opened, failed } = options;
  let upgraded: Deno.WebSocketUpgrade;
  try {
    upgraded = Deno.upgradeWebSocket(request, { protocol: SUBPROTOCOL, idleTimeout: IDLE_TIMEOUT_S });
  } catch {
    failed();
    return new Response("The headers of the upgrade are not those of a WebSocket.\n", { status: 400 });
  }
  const { socket, response } = upgraded;
  let waiting = true;
  const stopWaiting = () => {
    waiting = false;
    cancel();
    signal.removeEventListener("abort", giveUp);
  };
  const giveUp = () => {
    stopWaiting();
    failed();
  };
  const cancel = runtime.setTimer(timeout, giveUp);
  signal.addEventListener("abort", giveUp);
  socket.addEventListener("error", giveUp, { once: true });
  socket.addEventListener("open", () => {
    if (!waiting) return closeLate(socket, options);
    socket.removeEventListener("error", giveUp);
    stopWaiting();
    opened(socket);
  }, { once: true });
  return response;
}

/** Closes a socket that no connection was waiting for any more, and ends it if the client does not answer that. */
function closeLate(socket: WebSocket, { runtime, timeout }: UpgradeOptions): void {
  const cancel = runtime.setTimer(timeout, () => destroySocket(socket));
  socket.addEventListener("close", cancel, { once: true });
  socket.close(CLOSE.goingAway);
}
