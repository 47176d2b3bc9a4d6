/**
 * A member that leaves on signals, as a program of its own: how is JSON in its first argument. It says what it does.
 * Told `stop` it ends its node by itself, told `let go` it leaves on signals no more.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";
import { type EndingSignal, join, leaveOnSignals, type PartialConfig } from "../../mod.ts";

/** How a leaver is started. */
export interface LeaverOptions {
  readonly seeds?: readonly string[];
  readonly config?: PartialConfig;
  readonly shutdownTimeout?: number;
  readonly signals?: readonly EndingSignal[];
  /** What it does before it leaves: nothing for ever, or throwing. */
  readonly before?: "hangs" | "throws";
  /** What it does after it has left. */
  readonly after?: "hangs" | "throws";
}

const options: LeaverOptions = JSON.parse(Deno.args[0]!);
const { seeds = [], config = {}, shutdownTimeout, signals, before, after } = options;
const node = await join({ cluster: "leavers", listen: { port: 0 }, seeds, config });
const listening = leaveOnSignals(node, {
  ...(shutdownTimeout !== undefined && { shutdownTimeout }),
  ...(signals && { signals }),
  beforeLeaving: async ({ signal }) => {
    console.log(`before, ${node.gossiper.members.length} members`);
    signal.addEventListener("abort", () => console.log("the time before is up"));
    await behave(before, "before");
  },
  afterLeaving: async ({ flush }) => {
    console.log(`after, flushed ${flush?.flushed}, ${flush?.acknowledgedBy} know`);
    await behave(after, "after");
  },
});
console.log(`listening ${node.address}`);
void (async () => {
  for await (const event of node.gossiper.events.subscribe()) {
    if (event.type === "ClusterTopology") console.log(`sees ${event.members.length}`);
    if (event.type === "MemberBlocked") console.log(`blocks ${event.memberId} as ${event.reason}`);
  }
})();
for await (
  const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
) {
  if (line === "stop") {
    await node.stop();
    // The program goes on without its node, until a signal ends it.
    setInterval(() => {}, 1_000);
    console.log("stopped by itself");
  } else if (line === "let go") {
    listening[Symbol.dispose]();
    console.log("let go");
  }
}

async function behave(how: "hangs" | "throws" | undefined, when: string): Promise<void> {
  if (how === "throws") throw new Error(`It went wrong ${when} leaving.`);
  if (how === "hangs") await new Promise(() => {});
}
