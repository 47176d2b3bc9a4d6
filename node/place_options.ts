/**
 * The options for a member's listener and for its advertised address.
 *
 * @module
 */

import type { Member } from "../contracts/cluster.ts";
import type { ConfigurationProblem } from "../options/configuration_error.ts";
import { utf8Length } from "../engine/json.ts";
import { isHost, isMemberUrl, unbracketed } from "../common/host_names.ts";
import {
  describe,
  DIALED_HOST,
  HOST,
  isDialableUrl,
  isEverywhere,
  LISTENING_PORT,
  optionsOf,
  PORT,
  type Rule,
  type Rules,
} from "../options/rules.ts";

const LISTEN_RULES: Rules<{ readonly hostname?: string; readonly port?: number }> = {
  hostname: HOST,
  port: LISTENING_PORT,
};
const LISTEN: Rule = optionsOf(LISTEN_RULES);
/** The names in `listen`. */
export const LISTEN_OPTIONS: readonly string[] = Object.keys(LISTEN_RULES);
/** The longest URL of a member, in bytes: other members refuse longer URLs. */
const MAX_URL_BYTES = 2_048;

const ADVERTISE: Rule = optionsOf<Pick<Member, "host" | "port">>({ host: DIALED_HOST, port: PORT }, [
  "host",
  "port",
]);

/** Checks `listen` and `advertise`, of any type. */
export function placeProblems(
  { listen, advertise }: { readonly listen?: unknown; readonly advertise?: unknown },
  { mayBeUrl = false }: { readonly mayBeUrl?: boolean } = {},
): ConfigurationProblem[] {
  if (mayBeUrl && typeof advertise === "string") {
    return [...(listen === undefined ? [] : LISTEN("listen", listen)), ...urlProblems(advertise)];
  }
  return [
    ...(listen === undefined ? [] : LISTEN("listen", listen)),
    ...(advertise === undefined ? everywhereProblems(Object(listen)) : ADVERTISE("advertise", advertise)),
  ];
}

/** The record's address for an advertised URL, or host and port. */
export function endpointOf(
  advertise: string | Pick<Member, "host" | "port">,
): Pick<Member, "host" | "port" | "url"> {
  if (typeof advertise !== "string") return advertise;
  const { hostname, port, protocol } = new URL(advertise);
  // A URL omits the default port of its scheme.
  const usual = protocol === "wss:" ? 443 : 80;
  const host = unbracketed(hostname);
  return { host, port: port === "" ? usual : Number(port), url: advertise };
}

/** Checks an advertised URL. */
function urlProblems(given: string): ConfigurationProblem[] {
  const url = URL.parse(given);
  const isRight = url && isMemberUrl(given) && isHost(url.hostname) && isDialableUrl(url) &&
    utf8Length(given) <= MAX_URL_BYTES;
  if (isRight) return [];
  const allowed = '`{ host, port }`, or a URL such as "wss://orders.example/members/a", of at most ' +
    `${MAX_URL_BYTES} bytes, without credentials, query or fragment`;
  return [{ field: "advertise", problem: `must be ${allowed}`, given: describe(given), allowed }];
}

/** A listener on all interfaces has no address that peers can dial, so `advertise` must give one. */
function everywhereProblems({ hostname }: { readonly hostname?: unknown }): ConfigurationProblem[] {
  if (typeof hostname !== "string" || !isEverywhere(hostname)) return [];
  const problem = "must be given, because no peer can dial the address of the listener";
  const allowed = "`advertise: { host, port }` with the address that others reach";
  return [{ field: "advertise", problem, given: describe(hostname), allowed }];
}
