/**
 * The way of an observer's socket out of the transport. An observer is a client that reads, and is no member: it has no
 * session, and is in no list.
 *
 * @module
 */

import type { Guard } from "../../contracts/authentication.ts";
import type { Idler } from "./admission.ts";
import type { Socket } from "./platform.ts";

/** An observer's client, after the same admission as that of a peer. */
export interface ObserverClient {
  /** Its address, for people. */
  readonly remote: string;
  /** With keys: the proof of this side, and the end of the connection if the key is withdrawn. */
  readonly guard: Guard | undefined;
  /** True if its token is for reading only. */
  readonly isReader: boolean;
  /** Called once when the socket has ended. */
  readonly ended: () => void;
}

/** The reserved place of one observer. */
export interface ObserverPlace {
  /** Takes the open socket. */
  open(socket: Socket, client: ObserverClient): Idler;
  /** Gives the place back; called instead of `open`. */
  leave(): void;
}

/** Takes the sockets of observers. */
export interface ObserverDoor {
  /**
   * Reserves a place; returns the reason as a sentence if there is none. An observer with a member's token displaces an
   * observer with a token for reading.
   */
  enter(isReader: boolean): ObserverPlace | string;
  /** Ends all observers, and takes no more. */
  close(): void;
}
