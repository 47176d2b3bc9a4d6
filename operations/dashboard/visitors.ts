/**
 * Decides which clients may read a dashboard.
 *
 * @module
 */

import { type ClientAddress, hostOf, strangerSign } from "../../transport/strangers.ts";
import { printable } from "../../common/printable.ts";

/** The most characters of a header in a reason. */
const MAX_SHOWN = 80;
const OPEN = "`open: true` allows it behind an authentication of your own";

/** Returns the reason to refuse a client as one of another machine; `undefined` for a client of this machine. */
export function whyStranger(request: Request, remote: ClientAddress | undefined): string | undefined {
  switch (strangerSign(request, remote)) {
    case undefined:
      return undefined;
    case "proxy":
      return `The dashboard refuses requests through a proxy; ${OPEN}.`;
    case "unknown":
      return `The client's address is unknown. Pass the info of Deno.serve to the handler; ${OPEN}.`;
    case "address":
      return `Only clients on this machine may read the dashboard; ${OPEN}.`;
    case "host":
      return `The Host must be localhost or a loopback address; got ${shown(hostOf(request))}; ${OPEN}.`;
  }
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

function shown(text: string): string {
  return printable(JSON.stringify(text), MAX_SHOWN);
}
