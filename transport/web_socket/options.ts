/**
 * The options of the WebSocket transport.
 *
 * @module
 */

import type { Authentication } from "../../contracts/authentication.ts";
import type { Meters } from "../../contracts/meters.ts";
import type { Runtime } from "../../common/runtime.ts";
import type { ListenFailure } from "../listening.ts";
import type { RefusedClient } from "../strangers.ts";
import type { Authorize } from "./accept.ts";
import type { HeaderFields } from "./platform.ts";
import type { ObserverDoor } from "./observers.ts";
import type { Platform } from "./platform.ts";

/** The transport's own server. */
export interface ListenOptions {
  /**
   * The name or address to listen on; `"127.0.0.1"` by default, so that other machines have no access by
   * default.
   */
  readonly hostname?: string;
  /** The port; 0 takes a free port, see `WebSocketTransport.address`. */
  readonly port: number;
  /** The certificate chain and its key, as PEM, to serve TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Closes the transport when aborted. */
  readonly signal?: AbortSignal;
}

/** Options of a `WebSocketTransport`. */
export interface WebSocketTransportOptions {
  /** The `gossipActorName`, the endpoint's path without its slash. */
  readonly path: string;
  /** The largest message that is sent or accepted, in bytes of UTF-8. */
  readonly maxMessageBytes: number;
  /** Clock, timers and random numbers; the real ones by default. */
  readonly runtime?: Runtime;
  /**
   * The longest time to open a connection, in milliseconds, in addition to the caller's signal; 10,000 by
   * default.
   */
  readonly connectTimeout?: number;
  /** A write resolves when at most this many bytes wait to be sent; 256 KiB by default. */
  readonly highWaterMark?: number;
  /** The longest wait for a peer's answer to a close, in milliseconds; 1,000 by default. */
  readonly closeTimeout?: number;
  /** The runtime's servers and sockets; those of Deno by default. */
  readonly platform?: Platform;
  /** Starts a server. Without it, clients connect only through `WebSocketTransport.handler`. */
  readonly listen?: ListenOptions;
  /** Dials members by `wss:`. By default true if this transport listens with a certificate. */
  readonly secure?: boolean;
  /** Certificates of authorities, as PEM, that are trusted in addition to the platform's. */
  readonly caCerts?: readonly string[];
  /** Authenticates every connection in both directions, before any state flows. */
  readonly authentication?: Authentication;
  /** Sends the token in a header, or in a subprotocol, because browsers cannot send headers. */
  readonly tokenIn?: "header" | "subprotocol";
  /** Headers of each dial, such as a token for the peers' {@linkcode Authorize}. */
  readonly headers?: HeaderFields;
  /** Accepts or refuses clients before the upgrade; with `authentication`, both must accept. */
  readonly authorize?: Authorize;
  /**
   * Accepts clients from other machines, and may listen for them, without `authentication` and `authorize`.
   * False by default.
   */
  readonly insecure?: boolean;
  /** The origins of web pages that may connect, such as `https://app.example`; none by default. */
  readonly allowedOrigins?: readonly string[];
  /** The most connections from one address, or public IPv6 network (/64); 64 by default. */
  readonly maxConnectionsPerAddress?: number;
  /** The most upgrades in progress; 64 by default. */
  readonly maxHandshakes?: number;
  /** The most messages per second of one connection; 1,000 by default. */
  readonly maxMessagesPerSecond?: number;
  /** Takes the sockets of observers; without it they are refused. */
  readonly observers?: ObserverDoor;
  /** Counts the messages of all connections. */
  readonly meters?: Meters;
  /** Called for refused clients. Must not throw. */
  readonly onClientRefused?: (refused: RefusedClient) => void;
  /** Called when the server has stopped listening for now, see {@linkcode ListenFailure}. Must not throw. */
  readonly onListenFailed?: (failure: ListenFailure) => void;
}
