/**
 * Where a member listens and where others reach it, as whoever joins is asked.
 *
 * @module
 */

import type { Member } from "../contracts/cluster.ts";
import type { ConfigurationProblem } from "../options/configuration_error.ts";
import { utf8Length } from "../engine/json.ts";
import { isHost, isMemberUrl, unbracketed } from "../common/host_names.ts";
import {
  describe,
  HOST,
  isEverywhere,
  LISTENING_PORT,
  optionsOf,
  PORT,
  type Rule,
} from "../options/rules.ts";

const LISTEN: Rule = optionsOf<{ readonly hostname?: string; readonly port?: number }>({
  hostname: HOST,
  port: LISTENING_PORT,
});
/** The longest URL of a member, in bytes: longer ones are refused by others. */
const MAX_URL_BYTES = 2_048;

const ADVERTISE: Rule = optionsOf<Pick<Member, "host" | "port">>({ host: HOST, port: PORT }, [
  "host",
  "port",
]);

/** What is wrong with `listen` and `advertise`, where they are given; nothing is supposed of them. */
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

/** Where others reach a member that advertises a URL, or a host and a port. */
export function endpointOf(
  advertise: string | Pick<Member, "host" | "port">,
): Pick<Member, "host" | "port" | "url"> {
  if (typeof advertise !== "string") return advertise;
  const { hostname, port, protocol } = new URL(advertise);
  // A port that goes without saying is not in the URL.
  const usual = protocol === "wss:" ? 443 : 80;
  const host = unbracketed(hostname);
  return { host, port: port === "" ? usual : Number(port), url: advertise };
}

/** What is wrong with a URL that is to be advertised. */
function urlProblems(given: string): ConfigurationProblem[] {
  const url = URL.parse(given);
  const isRight = url && isMemberUrl(given) && isHost(url.hostname) && !isEverywhere(url.hostname) &&
    url.port !== "0" &&
    utf8Length(given) <= MAX_URL_BYTES;
  if (isRight) return [];
  const allowed =
    `a URL such as "wss://orders.example/members/a", of at most ${MAX_URL_BYTES} bytes, without a user, a query and a fragment`;
  // It may have a password in it.
  return [{
    field: "advertise",
    problem: "is no URL at which others can dial",
    given: "another text",
    allowed,
  }];
}

/** Where a member listens on all addresses, it has to be said which others are to dial. */
function everywhereProblems({ hostname }: { readonly hostname?: unknown }): ConfigurationProblem[] {
  if (typeof hostname !== "string" || !isEverywhere(hostname)) return [];
  const problem = "is missing, and nobody can dial the address listened on";
  const allowed = "`advertise: { host, port }` with the address that others reach";
  return [{ field: "advertise", problem, given: describe(hostname), allowed }];
}
