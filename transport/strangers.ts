/**
 * Refuses clients without keys: web pages of other services, and clients from other machines.
 *
 * @module
 */

import { bracketed } from "../common/host_names.ts";
import { isLoopback } from "../common/loopback.ts";
import { printable } from "../common/printable.ts";
import { TokenBucket } from "../common/token_bucket.ts";
import type { Runtime } from "../common/runtime.ts";
import { ReportOnce } from "../common/report_once.ts";

/**
 * The most reported refusals per second, so that a client with ever new reasons cannot crowd out other
 * events.
 */
export const MAX_TOLD_PER_SECOND = 10;

/** The headers by which a proxy forwards a request. */
const PROXY_HEADERS = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/** The address of a client, such as `info.remoteAddr` of `Deno.serve`. */
export interface ClientAddress {
  /** `"tcp"` for a client with a host and a port. */
  readonly transport: string;
  /** The client's IP address. */
  readonly hostname?: string;
  /** The client's port. */
  readonly port?: number;
}

/** A client that was refused before the upgrade. */
export interface RefusedClient {
  /** The client's address. */
  readonly remote: string;
  /** The reason, as a sentence. */
  readonly reason: string;
}

/**
 * Returns the reason to refuse a web page, or `undefined` for an allowed page or any other client. A page
 * could otherwise connect through its visitor's browser, which may reach addresses that the page's own
 * service cannot.
 */
export function whyForeignPage(request: Request, allowedOrigins: readonly string[]): string | undefined {
  const origin = request.headers.get("origin");
  // A page of the same host is no proof: an attacker's host name may resolve to this machine.
  if (origin === null || allowedOrigins.includes(origin)) return undefined;
  return `Pages of ${show(origin)} may not connect; allowedOrigins lists those that may.`;
}

/** A sign that a client may be on another machine. */
export type StrangerSign = "address" | "host" | "proxy" | "unknown";

/** Returns the sign that a client may be on another machine, or `undefined` for a client of this machine. */
export function strangerSign(request: Request, remote: ClientAddress | undefined): StrangerSign | undefined {
  // A proxy on this machine has a local address, so all of its clients would seem local.
  if (PROXY_HEADERS.some((name) => request.headers.has(name))) return "proxy";
  const address = addressOf(remote);
  if (address === undefined) return "unknown";
  if (!isLoopback(address)) return "address";
  // Another host name that resolves to this machine, used by a page in a browser here (DNS rebinding).
  const name = URL.parse(`ws://${hostOf(request)}`)?.hostname;
  return name !== undefined && isLoopback(name) ? undefined : "host";
}

/** The host that a request names. */
export function hostOf(request: Request): string {
  return request.headers.get("host") ?? URL.parse(request.url)?.host ?? "";
}

/** Returns the reason to refuse a client of another machine, or `undefined` for a client of this machine. */
export function whyStranger(request: Request, remote: ClientAddress | undefined): string | undefined {
  switch (strangerSign(request, remote)) {
    case undefined:
      return undefined;
    case "proxy":
      return "Without keys no client may connect through a proxy, unless insecure is set.";
    case "unknown":
      return "The client's address is unknown. Pass the info of Deno.serve to the handler, or set keys or insecure.";
    case "address":
      return "Without keys only clients on this machine may connect, unless insecure is set.";
    case "host":
      return `Without keys the Host must be localhost or a loopback address, unless insecure is set; got ` +
        `${show(hostOf(request))}.`;
  }
}

/** Reports refused clients: once for each host and reason, until a client from that host is accepted. */
export class Refusals {
  readonly #reported = new ReportOnce();
  readonly #rate: TokenBucket;
  readonly #onRefused: (refused: RefusedClient) => void;

  /** Reports to `onRefused`, which must not throw. */
  constructor(onRefused: (refused: RefusedClient) => void, runtime: Runtime) {
    this.#onRefused = onRefused;
    this.#rate = new TokenBucket(MAX_TOLD_PER_SECOND, runtime);
  }

  report(remote: ClientAddress | undefined, reason: string): void {
    // By host, because each attempt comes from another port.
    const host = addressOf(remote) ?? "";
    if (!this.#reported.claim(host, reason, () => this.#rate.take(1))) return;
    this.#onRefused({ remote: remoteOf(remote), reason: printable(reason) });
  }

  /** A client from this host was accepted. */
  forget(remote: ClientAddress | undefined): void {
    this.#reported.forget(addressOf(remote) ?? "");
  }

  /** Reports every refusal again from now on. */
  forgetAll(): void {
    this.#reported.forgetAll();
  }
}

/** A client's address, for logs. */
export function remoteOf(address: ClientAddress | undefined): string {
  if (address?.transport !== "tcp") return "a client";
  return `${bracketed(address.hostname ?? "")}:${address.port}`;
}

/** The IP address of a client, if known. */
export function addressOf(remote: ClientAddress | undefined): string | undefined {
  return remote?.transport === "tcp" ? remote.hostname : undefined;
}

/** Unique local addresses (fc00::/7), and those of one link (fe80::/10). */
const PRIVATE_IPV6 = /^f([cd]|e[89ab])/i;

/**
 * The network whose clients share limits. A public IPv6 address counts with its /64, because one machine may have a
 * whole /64. In a private network, for example of containers, a /64 has many machines, so each address counts alone.
 */
export function networkOf(remote: ClientAddress | undefined): string | undefined {
  const address = addressOf(remote);
  // An IPv4 address in IPv6 has dots.
  if (!address?.includes(":") || address.includes(".") || PRIVATE_IPV6.test(address)) return address;
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  const after = tail ? tail.split(":") : [];
  const zeros = Array.from({ length: tail === undefined ? 0 : 8 - groups.length - after.length }, () => "0");
  return `${[...groups, ...zeros, ...after].slice(0, 4).join(":")}::/64`;
}

function show(text: string): string {
  return printable(JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text));
}
