/**
 * Asking name servers.
 *
 * @module
 */

import { assertMayAsk } from "../gossiper/permission.ts";
import { isHost } from "../gossiper/host_names.ts";
import { isPort } from "../gossiper/options.ts";
import { deadlineAfter, type Runtime } from "../gossiper/runtime.ts";

/** How long, in milliseconds, a name server may take to answer. */
const ANSWER_TIMEOUT_MS = 5_000;

/** Where a name server is. */
export interface NameServer {
  /** Its address. */
  readonly ipAddr: string;
  /** Its port; 53 by default. */
  readonly port?: number;
}

/** Who is asked, and for how long. */
export interface LookupOptions {
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  readonly nameServer?: NameServer | undefined;
}

/** A service of a name: where it is. */
export interface Service {
  readonly host: string;
  readonly port: number;
}

/**
 * All addresses of a name, of version 4 before those of version 6; rejects with `Deno.errors.NotFound` where
 * there are none.
 */
export async function addressesOfName(name: string, options: LookupOptions): Promise<readonly string[]> {
  const [four, six] = await Promise.allSettled([
    lookUp(options, (resolving) => Deno.resolveDns(name, "A", resolving)),
    lookUp(options, (resolving) => Deno.resolveDns(name, "AAAA", resolving)),
  ]);
  const addresses = [four, six].flatMap((outcome) => outcome.status === "fulfilled" ? outcome.value : []);
  if (addresses.length > 0) return addresses;
  const reasons = [four, six].flatMap((outcome) => outcome.status === "rejected" ? [outcome.reason] : []);
  // That a name has no address of one version is no news; that the server did not answer is.
  throw reasons.find((reason) => !(reason instanceof Deno.errors.NotFound)) ?? missing(name);
}

/** Where the services of a name are, by its SRV records; rejects with `Deno.errors.NotFound` where there are none. */
export async function servicesOfName(name: string, options: LookupOptions): Promise<readonly Service[]> {
  const records = await lookUp(options, (resolving) => Deno.resolveDns(name, "SRV", resolving));
  const services = records.map(({ target, port }) => ({ host: target.replace(/\.$/, ""), port }));
  // A target that is the root says that there is no such service.
  const present = services.filter(({ host, port }) => isHost(host) && isPort(port));
  if (present.length === 0) throw missing(name);
  return present;
}

async function lookUp<T>(
  { runtime, signal, nameServer }: LookupOptions,
  resolve: (options: Deno.ResolveDnsOptions) => Promise<T>,
): Promise<T> {
  assertMayAsk(nameServer);
  using deadline = deadlineAfter(runtime, ANSWER_TIMEOUT_MS, "Asking the name server", { signal });
  return await resolve({ signal: deadline.signal, ...(nameServer && { nameServer }) });
}

function missing(name: string): Error {
  return new Deno.errors.NotFound(`${name} has no records.`);
}
