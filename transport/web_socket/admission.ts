/**
 * Accepts or refuses clients before the upgrade (rule P1). The cheapest checks come first.
 *
 * @module
 */

import { errorText } from "../../common/error_text.ts";
import { abortable, deadlineAfter, type Runtime } from "../../common/runtime.ts";
import type { Admitted, Authentication, Rejection } from "../../contracts/authentication.ts";
import { isDialersToken } from "../../security/token_check.ts";
import {
  type ClientAddress,
  networkOf,
  Refusals,
  type RefusedClient,
  whyForeignPage,
  whyStranger,
} from "../strangers.ts";
import { type Authorize, refuseClient, refuseWithoutUpgrade } from "./accept.ts";
import { TOKEN_PROTOCOL } from "./dial.ts";

/**
 * The time without a message, in milliseconds, before a connection may be closed in favor of a new connection of the
 * same address. Lower: members behind one address close each other's connections in use. Higher: a new member waits
 * longer.
 */
export const IDLE_AFTER_MS = 5_000;
/**
 * The longest time for `authorize`, in milliseconds. 10 s: `authorize` may ask another service. Lower: clients are
 * refused if that service is slow. Higher: checks that hang keep their slots of `maxHandshakes` longer.
 */
const AUTHORIZE_WITHIN_MS = 10_000;
/** The longest token that is verified. */
export const MAX_TOKEN_LENGTH = 2_048;

/** Options of an {@linkcode Admission}. */
export interface AdmissionOptions {
  readonly authentication: Authentication | undefined;
  readonly authorize: Authorize | undefined;
  /** Accepts clients without authentication from other machines. */
  readonly insecure: boolean;
  /** The origins of web pages that may connect. */
  readonly allowedOrigins: readonly string[];
  readonly maxConnectionsPerAddress: number;
  readonly maxHandshakes: number;
  /** The authorities of this side. */
  readonly authorities: () => ReadonlySet<string>;
  readonly runtime: Runtime;
  /** True if this member has observers. */
  readonly hasObservers: boolean;
  /** Called for a refused client, once for each host and reason until a client from that host is accepted. */
  readonly onRefused: (refused: RefusedClient) => void;
}

/** An accepted client. It counts for its limits until `leave` is called. */
export interface ConnectionSlot {
  readonly admitted: Admitted | undefined;
  /**
   * The upgrade has ended. While idle, the connection may be closed in favor of a new connection of the same address.
   */
  upgraded(connection: Idler): void;
  /** The connection has ended. */
  leave(): void;
}

/** A connection that may be closed in favor of a new connection. */
export interface Idler {
  /** The time of the last message, by the monotonic clock. */
  readonly usedMs: number;
  /** Ends it with a reason. */
  end(reason: string): void;
}

/** A connection that counts for its address. */
interface Occupant extends Idler {
  readonly leave: () => void;
}

/** Accepts or refuses clients. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #byAddress = new Map<string, number>();
  /** Open connections by address. */
  readonly #open = new Map<string, Set<Occupant>>();
  readonly #refusals: Refusals;
  #handshakes = 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#refusals = new Refusals(options.onRefused, options.runtime);
  }

  /**
   * Accepts a client, or returns the response that refuses it. Synchronous unless a check is asynchronous.
   */
  admit(
    request: Request,
    remote: ClientAddress | undefined,
  ): ConnectionSlot | Response | Promise<ConnectionSlot | Response> {
    const refused = refuseWithoutUpgrade(request, this.#options) ?? this.#refuseOrigin(request, remote) ??
      this.#refuseStranger(request, remote) ?? this.#refuseCrowd(remote);
    if (refused) return refused;
    const slot = this.#take(remote);
    const accept = (admitted: Admitted | Response | undefined) => {
      if (admitted instanceof Response) {
        slot.leave();
        return admitted;
      }
      this.#refusals.forget(remote);
      // A client with a valid token does not count for its address. The connection pool limits members and readers;
      // observers have a limit of their own.
      if (admitted) slot.stopCounting();
      return { ...slot, admitted };
    };
    const fail = (error: unknown) => {
      slot.leave();
      this.#refusals.report(remote, `The check of this client failed: ${errorText(error)}`);
      return busy("The check of this client failed.");
    };
    try {
      const admitted = this.#recognize(request, remote);
      return admitted instanceof Promise ? admitted.then(accept).catch(fail) : accept(admitted);
    } catch (error) {
      return fail(error);
    }
  }

  /** Reports every refusal again, because the keys have changed. */
  keysChanged(): void {
    this.#refusals.forgetAll();
  }

  #refuseOrigin(request: Request, remote: ClientAddress | undefined): Response | undefined {
    const reason = whyForeignPage(request, this.#options.allowedOrigins);
    return reason === undefined ? undefined : this.#refuse(403, remote, reason);
  }

  /** Refuses clients without keys from other machines, even if the handler is mounted in another server. */
  #refuseStranger(request: Request, remote: ClientAddress | undefined): Response | undefined {
    const { authentication, authorize, insecure } = this.#options;
    if (authentication || authorize || insecure) return undefined;
    const reason = whyStranger(request, remote);
    return reason === undefined ? undefined : this.#refuse(403, remote, reason);
  }

  #refuseCrowd(remote: ClientAddress | undefined): Response | undefined {
    const { maxHandshakes, maxConnectionsPerAddress } = this.#options;
    if (this.#handshakes >= maxHandshakes) {
      return this.#refuse(503, remote, "Too many upgrades are in progress; maxHandshakes sets the limit.");
    }
    const address = networkOf(remote);
    if (address === undefined || (this.#byAddress.get(address) ?? 0) < maxConnectionsPerAddress) {
      return undefined;
    }
    if (this.#makeRoom(address)) return undefined;
    const reason =
      `At most ${maxConnectionsPerAddress} connections may come from ${address}, and none of them is idle; ` +
      "maxConnectionsPerAddress sets the limit.";
    return this.#refuse(503, remote, reason);
  }

  /** Closes the connection of an address that was idle for longest. Returns false if no connection is idle. */
  #makeRoom(address: string): boolean {
    let idlest: Occupant | undefined;
    for (const each of this.#open.get(address) ?? []) {
      if (!idlest || each.usedMs < idlest.usedMs) idlest = each;
    }
    if (!idlest || this.#options.runtime.monotonicMs() - idlest.usedMs < IDLE_AFTER_MS) return false;
    idlest.leave();
    idlest.end("Too many connections come from this address, and this one was idle for longest.");
    return true;
  }

  #recognize(
    request: Request,
    remote: ClientAddress | undefined,
  ): Admitted | Response | undefined | Promise<Admitted | Response | undefined> {
    const { authorize } = this.#options;
    return authorize ? this.#authorize(request, remote, authorize) : this.#authenticate(request, remote);
  }

  /**
   * A check that hangs does not keep its slot: it ends after a time limit, or earlier if the server notices that the
   * client is gone.
   */
  async #authorize(
    request: Request,
    remote: ClientAddress | undefined,
    authorize: Authorize,
  ): Promise<Admitted | Response | undefined> {
    const { runtime } = this.#options;
    using deadline = deadlineAfter(runtime, AUTHORIZE_WITHIN_MS, "`authorize`", { signal: request.signal });
    const refused = await abortable(refuseClient(request, authorize), deadline.signal);
    return refused ?? this.#authenticate(request, remote);
  }

  #authenticate(
    request: Request,
    remote: ClientAddress | undefined,
  ): Admitted | Response | undefined | Promise<Admitted | Response> {
    const { authentication, authorities } = this.#options;
    const token = tokenOf(request);
    if (!authentication) return this.#refuseKeyHolder(token, remote);
    if (token === undefined) {
      return this.#refuse(401, remote, "The client must identify itself: it has no token.");
    }
    if (token.length > MAX_TOKEN_LENGTH) return this.#refuse(401, remote, "The token is too long.");
    const judge = (outcome: Admitted | Rejection) =>
      "refused" in outcome ? this.#refuse(outcome.status, remote, outcome.refused) : outcome;
    const address = networkOf(remote);
    const outcome = authentication.admit(token, {
      authorities: authorities(),
      ...(address !== undefined && { address }),
    });
    return outcome instanceof Promise ? outcome.then(judge) : judge(outcome);
  }

  /**
   * Refuses a member with keys if this member has no keys. That member would end the handshake itself, but only after
   * this side's `hello`, and each attempt would count as a sign of life here. Other tokens are meant for a proxy or an
   * `authorize`.
   */
  #refuseKeyHolder(token: string | undefined, remote: ClientAddress | undefined): Response | undefined {
    if (token === undefined || token.length > MAX_TOKEN_LENGTH || !isDialersToken(token)) return undefined;
    const reason =
      "This client has cluster keys (`authentication`) and this member has none; both need a common key.";
    return this.#refuse(403, remote, reason);
  }

  #refuse(status: 401 | 403 | 503, remote: ClientAddress | undefined, reason: string): Response {
    this.#refusals.report(remote, reason);
    return new Response(`${reason}\n`, { status });
  }

  #take(
    remote: ClientAddress | undefined,
  ): Omit<ConnectionSlot, "admitted"> & { readonly stopCounting: () => void } {
    const address = networkOf(remote);
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

/**
 * Reads the token from the Authorization header. A browser cannot send headers, so its token is in the second
 * subprotocol.
 */
function tokenOf(request: Request): string | undefined {
  const bearer = /^bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (bearer !== undefined) return bearer;
  const offered = request.headers.get("sec-websocket-protocol")?.split(",").map((name) => name.trim()) ?? [];
  return offered.find((name) => name.startsWith(TOKEN_PROTOCOL))?.slice(TOKEN_PROTOCOL.length);
}

function busy(text: string): Response {
  return new Response(`${text}\n`, { status: 503 });
}
