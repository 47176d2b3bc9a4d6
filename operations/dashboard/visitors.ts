/**
 * Decides which clients may read a dashboard.
 *
 * @module
 */

import type { ClientAddress } from "../../transport/strangers.ts";
import { isLoopback } from "../../common/loopback.ts";
import { printable } from "../../common/printable.ts";

/** The headers by which a proxy forwards a request. */
const PROXY_HEADERS = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
/** The most characters of a header in a reason. */
const MAX_SHOWN = 80;
const OPEN = "`open: true` allows it behind an authentication of your own";

/** Returns the reason to refuse a client as one of another machine; `undefined` for a client of this machine. */
export function whyStranger(request: Request, remote: ClientAddress | undefined): string | undefined {
  // A proxy on this machine has a local address, and so would all of its clients.
  if (PROXY_HEADERS.some((name) => request.headers.has(name))) {
    return `The dashboard refuses requests through a proxy; ${OPEN}.`;
  }
  if (remote?.transport !== "tcp" || remote.hostname === undefined) {
    return `The client's address is unknown. Pass the info of Deno.serve to the handler; ${OPEN}.`;
  }
  if (!isLoopback(remote.hostname)) return `Only clients on this machine may read the dashboard; ${OPEN}.`;
  // Another host name that resolves to this machine would let a page of that name read the dashboard (DNS rebinding).
  const host = hostOf(request);
  const name = URL.parse(`http://${host}`)?.hostname;
  if (name !== undefined && isLoopback(name)) return undefined;
  return `The Host must be localhost or a loopback address; got ${shown(host)}; ${OPEN}.`;
}

/**
 * Returns the reason to refuse a page of another origin; `undefined` for any other client. Such a page cannot read the
 * answer, but its streams would take the places of others.
 */
export function whyForeignPage(request: Request): string | undefined {
  const site = request.headers.get("sec-fetch-site");
  const origin = request.headers.get("origin");
  const isForeign = site !== null
    ? site !== "same-origin" && site !== "none"
    : origin !== null && URL.parse(origin)?.host !== hostOf(request);
  return isForeign ? "Pages of other origins may not read the dashboard's data." : undefined;
}

function hostOf(request: Request): string {
  return request.headers.get("host") ?? URL.parse(request.url)?.host ?? "";
}

function shown(text: string): string {
  return printable(JSON.stringify(text), MAX_SHOWN);
}
