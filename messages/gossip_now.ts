/**
 * A round at once.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import { abortable } from "../common/runtime.ts";
import { assertOptions } from "../options/rules.ts";
import type { WaitOptions } from "../gossiper/contract.ts";
import { type Gossiper, insightOf } from "../gossiper/gossiper.ts";
import { WAIT } from "../gossiper/call_options.ts";

/**
 * Begins a round of gossip now, without a change to the times of other rounds; resolves when it has ended, or when the
 * member leaves. A round that has just begun is waited for: rounds begin at most ten times in a `gossipInterval`.
 * Changes are pushed to peers at once anyway; a round also repairs losses, and with `spread: "interval"` it is what
 * sends changes. After a round `gossipFanOut` peers have what this member has; `converged()` waits for all.
 *
 * @throws {HearsayError} with code `not_started` before the start, and `stopped` once the member leaves.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { gossipNow } from "@hearsay/gossip/messages";
 *
 * await using node = await join({ cluster: "shop", listen: { port: 0 }, config: { gossipInterval: 5_000 } });
 * node.setState("ready", true);
 * await gossipNow(node);
 * ```
 */
export async function gossipNow(node: Gossiper, options: WaitOptions = {}): Promise<void> {
  assertOptions(options, WAIT);
  const { signal } = options;
  signal?.throwIfAborted();
  node.signal.throwIfAborted();
  const { running } = insightOf(node);
  if (!running) throw new HearsayError("not_started", "This member was not started; nothing was sent.");
  const round = running.gossipNow();
  await (signal ? abortable(round, signal) : round);
}
