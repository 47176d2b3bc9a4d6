/**
 * The interface by which the transport hands an observer's socket over. An observer is a client that reads state and is
 * no member: it has no session, and is in no list.
 *
 * @module
 */

import type { Guard } from "../../contracts/authentication.ts";
import type { Idler } from "./admission.ts";
import type { Socket } from "./platform.ts";

/** An observer's client, after the same admission as a peer's client. */
export interface ObserverClient {
  /** Its address, for people. */
  readonly remote: string;
  /** With keys: proves this side's identity, and ends the connection if the key is withdrawn. */
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
  /** Gives the place back. Called instead of `open`. */
  leave(): void;
}

/** Takes the sockets of observers. */
export interface ObserverDoor {
  /**
   * Reserves a place. If there is no place, returns the reason as a sentence. An observer with a member's token
   * displaces an observer with a token for reading.
   */
  enter(isReader: boolean): ObserverPlace | string;
  /** Ends all observers, and accepts no more. */
  close(): void;
}
