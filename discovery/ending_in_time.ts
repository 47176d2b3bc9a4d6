/**
 * Lets a member leave even if its discovery does not end.
 *
 * @module
 */

import type { Discovery, DiscoveryContext } from "../contracts/cluster.ts";
import { HearsayError } from "../common/errors.ts";
import { sleep } from "../common/runtime.ts";

/**
 * The longest time for a discovery to end, in milliseconds. 2 s: the discoveries of this library write a file, or
 * withdraw a record, within one second. Lower: such a step is left undone on a slow machine. Higher: a process that
 * must stop may be killed before its member has left.
 */
export const ENDS_WITHIN_MS = 2_000;

/**
 * A discovery whose run ends within two seconds of its signal. If it does not end by itself, `DiscoveryFailed` is
 * published.
 */
export function endingInTime(discovery: Discovery): Discovery {
  const { openMembership, members } = discovery;
  return {
    openMembership,
    ...(members && { members }),
    run: async (context, running) => {
      const over = new AbortController();
      try {
        await Promise.race([discovery.run(context, running), tooLate(context, running.signal, over.signal)]);
      } finally {
        over.abort();
      }
    },
  };
}

/** Resolves when the discovery has had its time to end; never before `running` is aborted. */
async function tooLate(
  { eventStream, runtime }: DiscoveryContext,
  running: AbortSignal,
  over: AbortSignal,
): Promise<void> {
  if (!running.aborted) {
    await new Promise<void>((resolve) => {
      running.addEventListener("abort", () => resolve(), { once: true, signal: over });
    });
  }
  await sleep(runtime, ENDS_WITHIN_MS, { signal: over }).catch(() => {});
  if (over.aborted) return;
  const text = `The discovery must end when its signal is aborted; it did not within ${ENDS_WITHIN_MS} ms. ` +
    "This member leaves without it.";
  eventStream.publish({
    type: "DiscoveryFailed",
    source: "discovery",
    error: new HearsayError("timeout", text),
    isFinal: true,
  });
}
