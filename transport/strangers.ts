/**
 * Who is a stranger where nobody shows a key: pages of other services, and whoever does not come from this machine.
 *
 * @module
 */

import { bracketed } from "../gossiper/host_names.ts";
import { isLoopback } from "../gossiper/loopback.ts";
import { printable } from "../gossiper/printable.ts";
import { Rate } from "../gossiper/rate.ts";
import type { Runtime } from "../gossiper/runtime.ts";
import { ToldReasons } from "../gossiper/told_reasons.ts";

/** How many refusals are told in a second: whoever makes up new reasons must not crowd out other news. */
export const MAX_TOLD_PER_SECOND = 10;

/** By these a proxy says that a request is another's. */
const PROXY_HEADERS = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/** A client that was refused before the upgrade. */
export interface RefusedClient {
  /** Where it is. */
  readonly remote: string;
  /** Why, as a sentence. */
  readonly reason: string;
}

/**
 * Why a page may not take part, as a sentence; `undefined` where it may, or the client is no page. A page of another
 * service must not take part with its visitor's browser: that reaches where the page cannot.
 */
export function whyForeignPage(request: Request, allowedOrigins: readonly string[]): string | undefined {
  const origin = request.headers.get("origin");
  // A page's own host is no proof: it may be any name that was made to lead here.
  if (origin === null || allowedOrigins.includes(origin)) return undefined;
  return `Pages of ${show(origin)} may not take part; allowedOrigins says which may.`;
}

/** Why a client does not count as one of this machine, as a sentence; `undefined` where it does. */
export function whyStranger(request: Request, remote: Deno.Addr | undefined): string | undefined {
  // A proxy on this machine comes from it, and so would everybody behind it.
  if (PROXY_HEADERS.some((name) => request.headers.has(name))) {
    return "This client comes by a proxy: without keys that lets nobody in, unless insecure is set.";
  }
  const address = addressOf(remote);
  if (address !== undefined && isLoopback(address)) return whyForeignName(request);
  return address === undefined
    ? "It is not known where this client is: hand on the info of Deno.serve, or set keys, or insecure."
    : "Without keys only clients of this machine may take part, unless insecure is set.";
}

/** A name that was made to lead to this machine brings clients here that mean to be elsewhere. */
function whyForeignName(request: Request): string | undefined {
  const host = request.headers.get("host") ?? new URL(request.url).host;
  const name = URL.parse(`ws://${host}`)?.hostname;
  if (name !== undefined && isLoopback(name)) return undefined;
  return `Without keys only localhost and loopback addresses may be the Host, unless insecure is set; it was ` +
    `${show(host)}.`;
}

/** Tells why clients are refused: once for each host and reason, until one of there is let in. */
export class Refusals {
  readonly #told = new ToldReasons();
  readonly #rate: Rate;
  readonly #onRefused: (refused: RefusedClient) => void;

  /** Tells `onRefused`, which must not throw. */
  constructor(onRefused: (refused: RefusedClient) => void, runtime: Runtime) {
    this.#onRefused = onRefused;
    this.#rate = new Rate(MAX_TOLD_PER_SECOND, runtime);
  }

  tell(remote: Deno.Addr | undefined, reason: string): void {
    // By host: whoever tries again comes from another port.
    const host = addressOf(remote) ?? "";
    if (!this.#told.isNews(host, reason) || !this.#rate.take(1)) return;
    this.#told.add(host, reason);
    this.#onRefused({ remote: remoteOf(remote), reason: printable(reason) });
  }

  /** A client of this host was let in. */
  forget(remote: Deno.Addr | undefined): void {
    this.#told.forget(addressOf(remote) ?? "");
  }

  /** Whoever is refused from now on is told anew. */
  forgetAll(): void {
    this.#told.forgetAll();
  }
}

/** Where a client is, for people to read. */
export function remoteOf(address: Deno.Addr | undefined): string {
  if (address?.transport !== "tcp") return "a client";
  return `${bracketed(address.hostname)}:${address.port}`;
}

/** The address of a client's machine, where it is known. */
export function addressOf(remote: Deno.Addr | undefined): string | undefined {
  return remote?.transport === "tcp" ? remote.hostname : undefined;
}

function show(text: string): string {
  return printable(JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text));
}
