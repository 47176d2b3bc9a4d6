/**
 * Upgrades a request to a WebSocket, or refuses it before the upgrade (rule P1).
 *
 * @module
 */

import { CLOSE } from "../../common/errors.ts";
import type { Runtime } from "../../common/runtime.ts";
import { destroySocket } from "./destroy.ts";
import { OBSERVE_PROTOCOL, SUBPROTOCOL } from "./dial.ts";
import type { Platform, Socket } from "./platform.ts";

/**
 * Accepts or refuses a client before the upgrade, for example by a token in a header. Returns `undefined` to accept it,
 * 401 if it must identify itself, or 403 to refuse it. An exception, or no result within 10 s, refuses the client too.
 */
export type Authorize = (request: Request) => RefusalStatus | undefined | Promise<RefusalStatus | undefined>;

/** The statuses of an {@linkcode Authorize}. */
export type RefusalStatus = 401 | 403;

/**
 * The subprotocol of a request: the peers' subprotocol if the request offers both, `undefined` if it offers neither.
 */
export function protocolOf(request: Request): string | undefined {
  const offered = request.headers.get("sec-websocket-protocol")?.split(",").map((name) => name.trim()) ?? [];
  return [SUBPROTOCOL, OBSERVE_PROTOCOL].find((name) => offered.includes(name));
}

/** Refuses a request without an upgrade, or without a subprotocol of this member. */
export function refuseWithoutUpgrade(
  request: Request,
  { hasObservers }: { readonly hasObservers: boolean },
): Response | undefined {
  const upgrade = request.headers.get("upgrade")?.toLowerCase() === "websocket";
  const protocol = protocolOf(request);
  if (upgrade && (protocol === SUBPROTOCOL || (hasObservers && protocol !== undefined))) return undefined;
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
  let status: RefusalStatus | undefined;
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
  readonly platform: Platform;
  /** The subprotocol to select. */
  readonly protocol: string;
  readonly runtime: Runtime;
  /** The longest time until the socket opens, in milliseconds. */
  readonly timeout: number;
  /** Gives up sockets that are not open yet, when aborted. */
  readonly signal: AbortSignal;
  /** Called with the open socket. Not called if the client has gone or the time is over. */
  readonly opened: (socket: Socket) => void;
  /** Called instead if the socket does not open. */
  readonly failed: () => void;
}

/** Returns the response. `isUpgraded` is true if it is the response of an upgrade. */
export function upgrade(
  request: Request,
  options: UpgradeOptions,
): { readonly response: Response; readonly isUpgraded: boolean } {
  const { platform, protocol, runtime, timeout, signal, opened, failed } = options;
  let upgraded: ReturnType<Platform["upgrade"]>;
  try {
    upgraded = platform.upgrade(request, { protocol });
  } catch {
    failed();
    const text = "The headers of the upgrade must be those of a WebSocket.\n";
    return { response: new Response(text, { status: 400 }), isUpgraded: false };
  }
  const { socket, response } = upgraded;
  if (socket.readyState === WebSocket.OPEN) {
    opened(socket);
    return { response, isUpgraded: true };
  }
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
  return { response, isUpgraded: true };
}

/** Closes a socket that opened too late, and ends it if the client does not answer the close. */
function closeLate(socket: Socket, { runtime, timeout }: UpgradeOptions): void {
  const cancel = runtime.setTimer(timeout, () => destroySocket(socket));
  socket.addEventListener("close", cancel, { once: true });
  socket.close(CLOSE.goingAway);
}
