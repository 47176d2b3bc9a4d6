/**
 * Who is let in before the upgrade, and who is not (rule P1): whatever costs least to find out is asked first.
 *
 * @module
 */

import type { Runtime } from "../gossiper/runtime.ts";
import type { Admitted, Authentication, NotAdmitted } from "./authentication.ts";
import { addressOf, Refusals, type RefusedClient, whyForeignPage, whyStranger } from "./strangers.ts";
import { type Authorise, refuseClient, refuseWithoutUpgrade } from "./web_socket_accept.ts";
import { TOKEN_PROTOCOL } from "./web_socket_dial.ts";

/**
 * How long, in milliseconds, nothing must have come on a connection before it makes room for another of its address.
 * Shorter: members behind one address push each other out though they talk. Longer: one that comes waits longer.
 */
export const IDLE_AFTER_MS = 5_000;
/** The longest token that is looked at. */
export const MAX_TOKEN_LENGTH = 2_048;

/** What an {@linkcode Admission} goes by. */
export interface AdmissionOptions {
  readonly authentication: Authentication | undefined;
  readonly authorise: Authorise | undefined;
  /** Whether whoever is not known may come from anywhere. */
  readonly insecure: boolean;
  /** The origins of pages that may take part. */
  readonly allowedOrigins: readonly string[];
  readonly maxConnectionsPerAddress: number;
  readonly maxHandshakes: number;
  /** The authorities under which this side is dialled. */
  readonly authorities: () => ReadonlySet<string>;
  readonly runtime: Runtime;
  /** A client was refused for what it is or says: told once for each host and reason until one of there is let in. */
  readonly onRefused: (refused: RefusedClient) => void;
}

/** A client that may come in: its places are its own until they are given back. */
export interface Place {
  readonly admitted: Admitted | undefined;
  /** The upgrade is over; the connection has to make room for others of its address when it is idle. */
  upgraded(connection: Idler): void;
  /** The connection is over. */
  leave(): void;
}

/** A connection that may have to make room for another. */
export interface Idler {
  /** When something came on it last, by the monotonic clock. */
  readonly usedMs: number;
  /** Closes it. */
  end(reason: string): void;
}

/** What takes a place of its address. */
interface Occupant extends Idler {
  readonly leave: () => void;
}

/** Decides about clients. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #byAddress = new Map<string, number>();
  /** The open connections that count for their address. */
  readonly #open = new Map<string, Set<Occupant>>();
  readonly #refusals: Refusals;
  #handshakes = 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#refusals = new Refusals(options.onRefused, options.runtime);
  }

  /** A place for the client, or the answer that refuses it: at once where nothing has to be waited for. */
  admit(request: Request, remote: Deno.Addr | undefined): Place | Response | Promise<Place | Response> {
    const refused = refuseWithoutUpgrade(request) ?? this.#refuseOrigin(request, remote) ??
      this.#refuseStranger(request, remote) ?? this.#refuseCrowd(remote);
    if (refused) return refused;
    const place = this.#take(remote);
    const accept = (admitted: Admitted | Response | undefined) => {
      if (admitted instanceof Response) {
        place.leave();
        return admitted;
      }
      this.#refusals.forget(remote);
      // Of those that have a key the pool of connections keeps as many as it has room for, wherever they come from.
      if (admitted) place.stopCounting();
      return { ...place, admitted };
    };
    const fail = (error: unknown) => {
      place.leave();
      this.#refusals.tell(remote, `This client could not be examined: ${String(error)}`);
      return busy("This client could not be examined.");
    };
    try {
      const admitted = this.#recognise(request, remote);
      return admitted instanceof Promise ? admitted.then(accept).catch(fail) : accept(admitted);
    } catch (error) {
      return fail(error);
    }
  }

  /** The keys have changed: who is refused now is told anew. */
  keysChanged(): void {
    this.#refusals.forgetAll();
  }

  #refuseOrigin(request: Request, remote: Deno.Addr | undefined): Response | undefined {
    const reason = whyForeignPage(request, this.#options.allowedOrigins);
    return reason === undefined ? undefined : this.#refuse(403, remote, reason);
  }

  /** Without keys only this machine takes part, however the handler was mounted. */
  #refuseStranger(request: Request, remote: Deno.Addr | undefined): Response | undefined {
    const { authentication, authorise, insecure } = this.#options;
    if (authentication || authorise || insecure) return undefined;
    const reason = whyStranger(request, remote);
    return reason === undefined ? undefined : this.#refuse(403, remote, reason);
  }

  #refuseCrowd(remote: Deno.Addr | undefined): Response | undefined {
    const { maxHandshakes, maxConnectionsPerAddress } = this.#options;
    if (this.#handshakes >= maxHandshakes) return busy("Too many connections are being opened.");
    const address = addressOf(remote);
    if (address === undefined || (this.#byAddress.get(address) ?? 0) < maxConnectionsPerAddress) {
      return undefined;
    }
    if (this.#makeRoom(address)) return undefined;
    const reason =
      `${maxConnectionsPerAddress} connections come from ${address}, and none of them is idle; ` +
      "maxConnectionsPerAddress says how many may.";
    return this.#refuse(503, remote, reason);
  }

  /** Ends the connection of an address that is idle for longest; false if none is. */
  #makeRoom(address: string): boolean {
    let idlest: Occupant | undefined;
    for (const each of this.#open.get(address) ?? []) {
      if (!idlest || each.usedMs < idlest.usedMs) idlest = each;
    }
    if (!idlest || this.#options.runtime.monotonicMs() - idlest.usedMs < IDLE_AFTER_MS) return false;
    idlest.leave();
    idlest.end("This connection was idle for longest, and there are too many from its address.");
    return true;
  }

  #recognise(
    request: Request,
    remote: Deno.Addr | undefined,
  ): Admitted | Response | undefined | Promise<Admitted | Response | undefined> {
    const { authorise } = this.#options;
    if (!authorise) return this.#authenticate(request, remote);
    return refuseClient(request, authorise).then((refused) => refused ?? this.#authenticate(request, remote));
  }

  #authenticate(
    request: Request,
    remote: Deno.Addr | undefined,
  ): Admitted | Response | undefined | Promise<Admitted | Response> {
    const { authentication, authorities } = this.#options;
    if (!authentication) return undefined;
    const token = tokenOf(request);
    if (token === undefined) {
      return this.#refuse(401, remote, "This client did not say who it is: it has no token.");
    }
    if (token.length > MAX_TOKEN_LENGTH) return this.#refuse(401, remote, "The token is too long.");
    const judge = (outcome: Admitted | NotAdmitted) =>
      "refused" in outcome ? this.#refuse(outcome.status, remote, outcome.refused) : outcome;
    const address = addressOf(remote);
    const outcome = authentication.admit(token, {
      authorities: authorities(),
      ...(address !== undefined && { address }),
    });
    return outcome instanceof Promise ? outcome.then(judge) : judge(outcome);
  }

  #refuse(status: 401 | 403 | 503, remote: Deno.Addr | undefined, reason: string): Response {
    this.#refusals.tell(remote, reason);
    return new Response(`${reason}\n`, { status });
  }

  #take(remote: Deno.Addr | undefined): Omit<Place, "admitted"> & { readonly stopCounting: () => void } {
    const address = addressOf(remote);
    this.#handshakes++;
    this.#count(address, 1);
    let isUpgrading = true;
    let isHere = true;
    let occupant: Occupant | undefined;
    const endUpgrade = () => {
      if (isUpgrading) this.#handshakes--;
      isUpgrading = false;
    };
    const stopCounting = () => {
      if (isHere) this.#count(address, -1);
      isHere = false;
      if (occupant) this.#remove(address!, occupant);
    };
    const leave = () => {
      endUpgrade();
      stopCounting();
    };
    const upgraded = (connection: Idler) => {
      endUpgrade();
      if (!isHere || address === undefined) return;
      occupant = {
        get usedMs() {
          return connection.usedMs;
        },
        end: (reason) => connection.end(reason),
        leave,
      };
      const open = this.#open.get(address);
      if (open) open.add(occupant);
      else this.#open.set(address, new Set([occupant]));
    };
    return { upgraded, leave, stopCounting };
  }

  #remove(address: string, occupant: Occupant): void {
    const open = this.#open.get(address);
    open?.delete(occupant);
    if (open?.size === 0) this.#open.delete(address);
  }

  #count(address: string | undefined, step: number): void {
    if (address === undefined) return;
    const count = (this.#byAddress.get(address) ?? 0) + step;
    if (count > 0) this.#byAddress.set(address, count);
    else this.#byAddress.delete(address);
  }
}

/** The token: a bearer's, or the second subprotocol of a browser, which can send no headers. */
function tokenOf(request: Request): string | undefined {
  const bearer = /^bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (bearer !== undefined) return bearer;
  const offered = request.headers.get("sec-websocket-protocol")?.split(",").map((name) => name.trim()) ?? [];
  return offered.find((name) => name.startsWith(TOKEN_PROTOCOL))?.slice(TOKEN_PROTOCOL.length);
}

function busy(text: string): Response {
  return new Response(`${text}\n`, { status: 503 });
}
