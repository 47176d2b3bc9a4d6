/**
 * The WebSocket transport and its server: `@hearsay/gossip/transport`.
 *
 * @module
 */

export {
  type ListenFailure,
  type NetAddress,
  type RequestInfo,
  serve,
  type ServeHandler,
  type ServeOptions,
  type Server,
} from "./listening.ts";
export type { ClientAddress } from "./strangers.ts";
export type { Idler } from "./web_socket/admission.ts";
export type { ObserverClient, ObserverDoor, ObserverPlace } from "./web_socket/observers.ts";
export type {
  Dialer,
  HeaderFields,
  OpenedSocket,
  OpenOptions,
  Platform,
  PlatformHandler,
  PlatformServeOptions,
  Socket,
} from "./web_socket/platform.ts";
export {
  type Authorize,
  type ListenOptions,
  type RefusalStatus,
  type RefusedClient,
  WebSocketTransport,
  type WebSocketTransportOptions,
} from "./web_socket/web_socket.ts";
