/**
 * Queries to name servers.
 *
 * @module
 */

import { assertMayAsk } from "../common/permission.ts";
import { isHost } from "../common/host_names.ts";
import { isPort } from "../options/rules.ts";
import { deadlineAfter, type Runtime } from "../common/runtime.ts";

/** The longest wait for an answer, in milliseconds. */
const ANSWER_TIMEOUT_MS = 5_000;

/** A name server. */
export interface NameServer {
  /** Its IP address. */
  readonly ipAddr: string;
  /** Its port; 53 by default. */
  readonly port?: number;
}

/** Options of a query. */
export interface LookupOptions {
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  readonly nameServer?: NameServer | undefined;
}

/** The target of an SRV record. */
export interface Service {
  readonly host: string;
  readonly port: number;
}

/** Returns all addresses of a name, IPv4 before IPv6. Rejects with `Deno.errors.NotFound` if it has none. */
export async function addressesOfName(name: string, options: LookupOptions): Promise<readonly string[]> {
  const [four, six] = await Promise.allSettled([
    lookUp(options, (resolving) => Deno.resolveDns(name, "A", resolving)),
    lookUp(options, (resolving) => Deno.resolveDns(name, "AAAA", resolving)),
  ]);
  const addresses = [four, six].flatMap((outcome) => outcome.status === "fulfilled" ? outcome.value : []);
  if (addresses.length > 0) return addresses;
  const reasons = [four, six].flatMap((outcome) => outcome.status === "rejected" ? [outcome.reason] : []);
  // Many names have only IPv4 or only IPv6 addresses. So the reason of an unanswered query is more useful than "not
  // found".
  throw reasons.find((reason) => !(reason instanceof Deno.errors.NotFound)) ?? missing(name);
}

/** Returns the targets of a name's SRV records. Rejects with `Deno.errors.NotFound` if it has none. */
export async function servicesOfName(name: string, options: LookupOptions): Promise<readonly Service[]> {
  const records = await lookUp(options, (resolving) => Deno.resolveDns(name, "SRV", resolving));
  const services = records.map(({ target, port }) => ({ host: target.replace(/\.$/, ""), port }));
  // The target `.` means that the service does not exist.
  const present = services.filter(({ host, port }) => isHost(host) && isPort(port));
  if (present.length === 0) throw missing(name);
  return present;
}

async function lookUp<T>(
  { runtime, signal, nameServer }: LookupOptions,
  resolve: (options: Deno.ResolveDnsOptions) => Promise<T>,
): Promise<T> {
  assertMayAsk(nameServer);
  using deadline = deadlineAfter(runtime, ANSWER_TIMEOUT_MS, "The query to the name server", { signal });
  return await resolve({ signal: deadline.signal, ...(nameServer && { nameServer }) });
}

function missing(name: string): Error {
  return new Deno.errors.NotFound(`${name} has no records.`);
}
