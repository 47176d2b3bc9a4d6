/**
 * Upgrades a request to a WebSocket, or refuses it before the upgrade (rule P1).
 *
 * @module
 */

import { CLOSE } from "../../common/errors.ts";
import type { Runtime } from "../../common/runtime.ts";
import { destroySocket } from "./destroy.ts";
import { SUBPROTOCOL } from "./dial.ts";

/**
 * Accepts or refuses a client before the upgrade, for example by a token in a header. Returns `undefined` to
 * accept it, 401 if it must identify itself, or 403 to refuse it. An exception refuses it too.
 */
export type Authorize = (request: Request) => Rejection | undefined | Promise<Rejection | undefined>;

/**
 * Seconds without a message before Deno closes the socket; it sends a ping after half of them. 60: an idle
 * cluster of 32 has a heartbeat on each connection about every nine seconds, and proxies close connections
 * after a silent minute. Lower: needless pings wake both processes. Higher: proxies close connections in use.
 */
const IDLE_TIMEOUT_S = 60;

/** The statuses of an {@linkcode Authorize}. */
export type Rejection = 401 | 403;

/** Refuses a request without an upgrade, or without the subprotocol. */
export function refuseWithoutUpgrade(request: Request): Response | undefined {
  const upgrade = request.headers.get("upgrade")?.toLowerCase() === "websocket";
  const offered = request.headers.get("sec-websocket-protocol")?.split(",").map((name) => name.trim()) ?? [];
  if (upgrade && offered.includes(SUBPROTOCOL)) return undefined;
  return new Response(`The request must be a WebSocket upgrade with the subprotocol ${SUBPROTOCOL}.\n`, {
    status: 426,
    headers: { upgrade: "websocket", connection: "upgrade" },
  });
}

/** Refuses a client if `authorize` does. */
export async function refuseClient(
  request: Request,
  authorize: Authorize,
): Promise<Response | undefined> {
  let status: Rejection | undefined;
  try {
    status = await authorize(request);
  } catch {
    status = 403;
  }
  if (status === undefined) return undefined;
  const text = status === 401 ? "The client must identify itself.\n" : "This client is refused.\n";
  return new Response(text, { status });
}

/** Options of {@linkcode upgrade}. */
export interface UpgradeOptions {
  readonly runtime: Runtime;
  /** The longest time until the socket opens, in milliseconds. */
  readonly timeout: number;
  /** Gives up sockets that are not open yet, when aborted. */
  readonly signal: AbortSignal;
  /** Called with the open socket. Not called if the client has gone or the time is over. */
  readonly opened: (socket: WebSocket) => void;
  /** Called instead if the socket does not open. */
  readonly failed: () => void;
}

export function upgrade(request: Request, options: UpgradeOptions): Response {
  const { runtime, timeout, signal, opened, failed } = options;
  let upgraded: Deno.WebSocketUpgrade;
  try {
    upgraded = Deno.upgradeWebSocket(request, { protocol: SUBPROTOCOL, idleTimeout: IDLE_TIMEOUT_S });
  } catch {
    failed();
    return new Response("The headers of the upgrade must be those of a WebSocket.\n", { status: 400 });
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
