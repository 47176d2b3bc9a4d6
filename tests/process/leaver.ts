/**
 * A program with a member that leaves on signals; its options are JSON in the first argument. It prints its steps. The
 * line `stop` on its standard input stops the node, `let go` disposes of the signal listeners.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";
import type { EndingSignal } from "../../node/mod.ts";
import { join, leaveOnSignals, type PartialConfig } from "../../mod.ts";

/** Options of a leaver. */
export interface LeaverOptions {
  readonly seeds?: readonly string[];
  readonly config?: PartialConfig;
  readonly shutdownTimeout?: number;
  readonly signals?: readonly EndingSignal[];
  /** `beforeLeaving` never resolves, or throws. */
  readonly before?: "hangs" | "throws";
  /** `afterLeaving` never resolves, or throws. */
  readonly after?: "hangs" | "throws";
}

const options: LeaverOptions = JSON.parse(Deno.args[0]!);
const { seeds = [], config = {}, shutdownTimeout, signals, before, after } = options;
const node = await join({ cluster: "leavers", listen: { port: 0 }, seeds, config });
const listening = leaveOnSignals(node, {
  ...(shutdownTimeout !== undefined && { shutdownTimeout }),
  ...(signals && { signals }),
  beforeLeaving: async ({ signal }) => {
    console.log(`before, ${node.members.length} members`);
    signal.addEventListener("abort", () => console.log("beforeLeaving was aborted"));
    await behave(before, "before");
  },
  afterLeaving: async ({ flush }) => {
    console.log(`after, flushed ${flush?.flushed}, ${flush?.acknowledgedBy} acknowledged`);
    await behave(after, "after");
  },
});
console.log(`listening ${node.address}`);
void (async () => {
  for await (const event of node.events.subscribe()) {
    if (event.type === "ClusterTopology") console.log(`sees ${event.members.length}`);
    if (event.type === "MemberBlocked") console.log(`blocks ${event.memberId} as ${event.reason}`);
  }
})();
for await (
  const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
) {
  if (line === "stop") {
    await node.stop();
    // Keeps the process running without its node until a signal ends it.
    setInterval(() => {}, 1_000);
    console.log("stopped by itself");
  } else if (line === "let go") {
    listening[Symbol.dispose]();
    console.log("let go");
  }
}

async function behave(how: "hangs" | "throws" | undefined, when: string): Promise<void> {
  if (how === "throws") throw new Error(`Failed ${when} leaving.`);
  if (how === "hangs") await new Promise(() => {});
}
