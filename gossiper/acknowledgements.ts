/**
 * The wait of a member for acknowledgements of one of its sets.
 *
 * @module
 */

import type { SetStateOptions } from "./contract.ts";
import type { EngineHost } from "./engine_host.ts";

/** Resolves once enough active members have acknowledged the set of a key under a number. */
export async function acknowledged(
  engineHost: EngineHost,
  { key, number, acknowledgedBy, signal }: {
    readonly key: string;
    readonly number: number;
    readonly acknowledgedBy: NonNullable<SetStateOptions["acknowledgedBy"]>;
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { view } = engineHost;
  const { incarnation } = view;
  await engineHost.until(() => {
    // A renewed incarnation sets every key again, under other numbers.
    const present = view.incarnation === incarnation
      ? number
      : view.ownNumber(key) ?? view.versionOf(view.id)!.number;
    const enough = acknowledgedBy === "all" ? view.activeIds().size - 1 : acknowledgedBy;
    return (acknowledgedBy !== "all" || view.hasMetPeer) && view.acknowledgedBy(present) >= enough;
  }, signal ? { signal } : {});
}
