/**
 * A name with addresses that change, and a discovery that resolves it.
 *
 * @module
 */

import { retryForever } from "../../discovery/failures.ts";
import { openMembership } from "../../discovery/open_membership.ts";
import type { Discovery } from "../../contracts/cluster.ts";
import { type Runtime, sleep } from "../../common/runtime.ts";

/** The answer of the name server. */
export interface Answer {
  /** None: the name is not resolved. */
  readonly addresses: readonly string[];
  /** The time until the answer arrives, in milliseconds. */
  readonly delayMs: number;
}

/** A name with one answer for all members at a time. */
export class ChangingName {
  answer: Answer = { addresses: [], delayMs: 0 };

  /** Resolves with the addresses at the time of the query; a slow answer may be outdated. Rejects without an address. */
  async resolve(runtime: Runtime, signal: AbortSignal): Promise<readonly string[]> {
    const { addresses, delayMs } = this.answer;
    if (delayMs > 0) await sleep(runtime, delayMs, { signal });
    if (addresses.length === 0) throw new Error("The name must have an address; got none.");
    return addresses;
  }
}

/** Options of {@linkcode byName}. */
export interface ByNameOptions {
  /** Milliseconds between two queries. */
  readonly intervalMs: number;
  /**
   * The address of the name itself. It is dialed while no address of the name has a member, as by `seeds`. Without it
   * only the addresses are dialed, as by `dns`.
   */
  readonly address: string | undefined;
}

/** Finds members by the addresses of a name. */
export function byName(name: ChangingName, { intervalMs, address }: ByNameOptions): Discovery {
  return openMembership((context, { found, signal }) => {
    let hasAddresses = false;
    return retryForever(async ({ succeeded }) => {
      for (;;) {
        try {
          const addresses = await name.resolve(context.runtime, signal);
          hasAddresses = true;
          found(addresses, new Map(address === undefined ? [] : [[address, addresses]]));
        } catch (error) {
          if (!hasAddresses && address !== undefined) found([address]);
          throw error;
        }
        succeeded();
        await sleep(context.runtime, intervalMs, { signal });
      }
    }, { context, source: "changing name", signal });
  });
}
