/**
 * Lets observers into a member. The first one loads the code that serves them.
 *
 * @module
 */

import { CLOSE } from "../common/errors.ts";
import type { Runtime } from "../common/runtime.ts";
import type { EventStream } from "../contracts/event_stream.ts";
import type { Meters } from "../contracts/meters.ts";
import type { GossiperConfig } from "../options/configuration.ts";
import { FLAG, optionsOf, type Rule } from "../options/rules.ts";
import type { Gossiper } from "../gossiper/gossiper.ts";
import type { Idler } from "../transport/web_socket/admission.ts";
import { destroySocket } from "../transport/web_socket/destroy.ts";
import type { ObserverClient, ObserverDoor, ObserverPlace } from "../transport/web_socket/observers.ts";
import type { Socket } from "../transport/web_socket/platform.ts";
import { MAX_OBSERVERS } from "./protocol.ts";
import { Troubles } from "./troubles.ts";

/** The rights of observers. */
export interface ObserverOptions {
  /**
   * True if an observer may set this member's keys, as `hearsay set` does; false by default. With cluster keys the
   * observer needs a member's token: a token for reading is refused.
   */
  readonly maySet?: boolean;
}

/** Checks {@linkcode ObserverOptions}; `false` means no observers. */
export const OBSERVERS: Rule = (field, given) =>
  given === false ? [] : optionsOf<ObserverOptions>({ maySet: FLAG }, [])(field, given);

/** A member that is observed. */
export interface Observed {
  readonly node: Gossiper & { readonly address: string };
  readonly config: GossiperConfig;
  readonly runtime: Runtime;
  readonly hasKeys: boolean;
  readonly signs: boolean;
  readonly maySet: boolean;
  readonly meters: Meters | undefined;
  readonly troubles: Troubles;
  /** The number of observers. */
  readonly observers: () => number;
}

/** A served observer. */
export interface Served {
  /** Ends the observer's connection with a close code. */
  end(code: number, reason: string): void;
}

/** The parts of a member before its node exists. */
export type DoorOptions = Omit<Observed, "node" | "observers" | "troubles"> & {
  readonly eventStream: EventStream;
};

/** The most messages that are kept while the code for observers is loaded: an observer waits for its first answer. */
const MAX_EARLY = 1;
/** The longest time for a socket to close, in milliseconds. */
const CLOSE_MS = 1_000;

/** Takes the observers of one member. */
export class Door implements ObserverDoor {
  readonly #options: DoorOptions;
  readonly #troubles: Troubles;
  readonly #seats = new Set<Seat>();
  #node: Observed["node"] | undefined;
  #isClosed = false;

  /** Makes a door that is closed until the node is known. */
  constructor(options: DoorOptions) {
    this.#options = options;
    this.#troubles = new Troubles(options.eventStream, options.runtime);
  }

  /** Opens the door. */
  observe(node: Observed["node"]): void {
    this.#node = node;
  }

  enter(isReader: boolean): ObserverPlace | string {
    if (!this.#node || this.#isClosed) return "This member has not started, or has stopped.";
    if (this.#seats.size >= MAX_OBSERVERS && !this.#makePlace(isReader)) {
      return `At most ${MAX_OBSERVERS} observers may be connected; close another one.`;
    }
    const { eventStream: _, ...options } = this.#options;
    const observed: Observed = {
      ...options,
      node: this.#node,
      troubles: this.#troubles,
      observers: () => this.#seats.size,
    };
    const seat: Seat = new Seat(observed, { isReader, left: () => this.#seats.delete(seat) });
    this.#seats.add(seat);
    return seat;
  }

  /**
   * Ends an observer with a token for reading in favor of an observer with a member's token. Any page may have a token
   * for reading.
   */
  #makePlace(isReader: boolean): boolean {
    const reader = isReader ? undefined : [...this.#seats].find((seat) => seat.isReader);
    if (!reader) return false;
    this.#seats.delete(reader);
    reader.end(CLOSE.done, "An observer with a member's token took this place.");
    return true;
  }

  close(): void {
    this.#isClosed = true;
    for (const seat of [...this.#seats]) seat.end(CLOSE.goingAway, "This member has stopped.");
  }
}

/** The place of one observer, from its request to the end of its socket. */
class Seat implements ObserverPlace {
  /** True if its token is for reading. */
  readonly isReader: boolean;
  readonly #observed: Observed;
  readonly #left: () => void;
  #socket: Socket | undefined;
  #served: Served | undefined;
  #ended: (() => void) | undefined;
  #isOver = false;

  constructor(
    observed: Observed,
    { isReader, left }: { readonly isReader: boolean; readonly left: () => void },
  ) {
    this.#observed = observed;
    this.isReader = isReader;
    this.#left = left;
  }

  open(socket: Socket, client: ObserverClient): Idler {
    const { runtime } = this.#observed;
    this.#socket = socket;
    this.#ended = client.ended;
    const use = { usedMs: runtime.monotonicMs() };
    const early: unknown[] = [];
    socket.addEventListener("message", ({ data }) => {
      use.usedMs = runtime.monotonicMs();
      if (!this.#served && early.length < MAX_EARLY) early.push(data);
    });
    socket.addEventListener("close", () => this.#over());
    // An error without a listener would end the process; the socket closes after it.
    socket.addEventListener("error", (event) => event.preventDefault());
    void this.#serve(socket, client, early);
    return {
      get usedMs() {
        return use.usedMs;
      },
      end: (reason) => this.end(CLOSE.done, reason),
    };
  }

  leave(): void {
    this.#isOver = true;
    this.#left();
  }

  /** Closes the socket, and destroys it if the observer does not answer. */
  end(code: number, reason: string): void {
    if (this.#served) return this.#served.end(code, reason);
    closeSocket(this.#socket, this.#observed.runtime, { code, reason, over: () => this.#over() });
  }

  async #serve(socket: Socket, client: ObserverClient, early: readonly unknown[]): Promise<void> {
    try {
      // Loaded with the first observer, so that a member without observers does not load it.
      const { ObserverSession } = await import("./session.ts");
      if (this.#isOver || socket.readyState !== WebSocket.OPEN) return;
      const over = () => this.#over();
      this.#served = new ObserverSession(socket, { observed: this.#observed, client, early, over });
    } catch (error) {
      this.end(CLOSE.goingAway, "The observer could not be served.");
      this.#observed.node.events.publish({ type: "CallbackFailed", where: "an observer", error });
    }
  }

  #over(): void {
    if (this.#isOver) return;
    this.leave();
    this.#ended?.();
    this.#served?.end(CLOSE.done, "");
  }
}

/** Closes a socket, and destroys it if the other side does not answer in time. */
export function closeSocket(
  socket: Socket | undefined,
  runtime: Runtime,
  { code, reason, over }: { readonly code: number; readonly reason: string; readonly over: () => void },
): void {
  if (!socket || socket.readyState === WebSocket.CLOSED) return over();
  const cancel = runtime.setTimer(CLOSE_MS, () => {
    destroySocket(socket);
    // A destroyed socket of Deno emits no event.
    over();
  });
  socket.addEventListener("close", cancel, { once: true });
  if (socket.readyState !== WebSocket.CLOSING) socket.close(code, reason);
}
