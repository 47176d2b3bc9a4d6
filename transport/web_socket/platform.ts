/**
 * The servers and sockets of a runtime. Admission, limits and close codes are the same code in all runtimes.
 *
 * @module
 */

import type { Runtime } from "../../common/runtime.ts";
import type { ListenFailure, NetAddress, Server } from "../listening.ts";

/** The parts of a WebSocket that a connection uses. */
export type Socket =
  & Pick<
    WebSocket,
    | "addEventListener"
    | "binaryType"
    | "bufferedAmount"
    | "close"
    | "protocol"
    | "readyState"
    | "removeEventListener"
    | "send"
  >
  & {
    /** Ends the socket at once, without the peer; missing if the platform's sockets cannot do this. */
    readonly terminate?: () => void;
  };

/** Options of a {@linkcode Platform}'s server. */
export interface PlatformServeOptions {
  /** The name or address to listen on. */
  readonly hostname: string;
  /** The port; 0 takes a free port. */
  readonly port: number;
  /** The certificate chain as PEM, to serve TLS; with `key`. */
  readonly cert?: string;
  /** The private key of the certificate as PEM. */
  readonly key?: string;
  /** Clock and timers. */
  readonly runtime: Runtime;
  /** Called when the server accepts no clients for now. Must not throw. */
  readonly onListenFailed: (failure: ListenFailure) => void;
}

/** Handles a request; `info` has the client's address. */
export type PlatformHandler = (
  request: Request,
  info: { readonly remoteAddr: NetAddress },
) => Response | Promise<Response>;

/** A socket that has just opened. */
export interface OpenedSocket {
  /** The socket. */
  readonly socket: Socket;
  /** Called when the connection is over, if other resources of the socket must be released. */
  readonly release?: () => Promise<void>;
}

/** The headers of a request, in any form that `Headers` takes. */
export type HeaderFields = ConstructorParameters<typeof Headers>[0];

/** Options of a dial. */
export interface OpenOptions {
  /** Headers of the upgrade; browsers cannot send any. */
  readonly headers?: HeaderFields | undefined;
  /** This side's token. */
  readonly token?: string | undefined;
  /** Sends the token in a header, as Deno can, or in a second subprotocol. */
  readonly tokenIn: "header" | "subprotocol";
  /** The subprotocol; `hearsay.v2` by default. */
  readonly subprotocol?: string;
  /** The largest message that is accepted, in bytes. */
  readonly maxMessageBytes: number;
  /** Gives the dial up when aborted. */
  readonly signal: AbortSignal;
}

/** Opens sockets. */
export interface Dialer {
  /**
   * Resolves when the socket is open. Rejects with the signal's reason if it is aborted before, or with a `HearsayError`
   * (`connection`, `refused`, `unauthorized`) if the peer is unreachable or refuses.
   */
  open(url: URL, options: OpenOptions): Promise<OpenedSocket>;
  /** Frees the resources of the dialer, even resources that its open sockets still use. */
  close(): Promise<void>;
}

/** A runtime's servers and sockets. */
export interface Platform {
  /** The place of the token in a dial: browsers cannot send headers. */
  readonly tokenIn: "header" | "subprotocol";
  /** Serves requests until it is shut down. */
  serve(options: PlatformServeOptions, handler: PlatformHandler): Server;
  /**
   * Upgrades a request that its server has just received. The socket is open already, or opens after the response.
   * Throws if the headers are not the headers of a WebSocket request.
   */
  upgrade(
    request: Request,
    options: { readonly protocol: string },
  ): { readonly socket: Socket; readonly response: Response };
  /** Makes a dialer that trusts these authorities in addition to the platform's. */
  dialer(options: { readonly caCerts: readonly string[] | undefined }): Dialer;
  /** The addresses of this machine; empty without the permission to read them. */
  ownAddresses(): readonly string[];
}
