/**
 * Where a member listens and where others reach it, as whoever joins is asked.
 *
 * @module
 */

import type { Member } from "./cluster.ts";
import type { ConfigurationProblem } from "./configuration_error.ts";
import { describe, HOST, isEverywhere, LISTENING_PORT, optionsOf, PORT, type Rule } from "./options.ts";

const LISTEN: Rule = optionsOf<{ readonly hostname?: string; readonly port?: number }>({
  hostname: HOST,
  port: LISTENING_PORT,
});
const ADVERTISE: Rule = optionsOf<Pick<Member, "host" | "port">>({ host: HOST, port: PORT }, [
  "host",
  "port",
]);

/** What is wrong with `listen` and `advertise`, where they are given; nothing is supposed of them. */
export function placeProblems(
  { listen, advertise }: { readonly listen?: unknown; readonly advertise?: unknown },
): ConfigurationProblem[] {
  return [
    ...(listen === undefined ? [] : LISTEN("listen", listen)),
    ...(advertise === undefined ? everywhereProblems(Object(listen)) : ADVERTISE("advertise", advertise)),
  ];
}

/** Where a member listens on all addresses, it has to be said which others are to dial. */
function everywhereProblems({ hostname }: { readonly hostname?: unknown }): ConfigurationProblem[] {
  if (typeof hostname !== "string" || !isEverywhere(hostname)) return [];
  const problem = "is missing, and nobody can dial the address listened on";
  const allowed = "`advertise: { host, port }` with the address that others reach";
  return [{ field: "advertise", problem, given: describe(hostname), allowed }];
}
