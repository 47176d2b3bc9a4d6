/**
 * Five members in one process, and a page that shows them: `deno task dashboard`.
 *
 * Each member publishes its load and its version. One of them leaves now and then, and returns.
 *
 * @module
 */

import { HearsayError, join, type JoinOptions, type Node, serve, type Server } from "../mod.ts";
import { dashboard, type DashboardHandler } from "../operations/dashboard/mod.ts";
import { giveUp, readFlags } from "./flags.ts";
import { leaveOnSignal } from "./leave.ts";

const USAGE = `
Five members in one process, and a page that shows them.

  --port <number>   the port of the page at 127.0.0.1 (default: 8080); 0 for a free one
  --help            this text
`;
const flags = readFlags({ usage: USAGE, once: ["port"] });
const port = flags.port() ?? 8080;
const AWAY_MS = 10_000;
const HERE_MS = 20_000;

const ada = await member("ada", []);
const others = ["ben", "cleo", "dan"].map((id) => member(id, [ada.address]));
for (const node of [ada, ...await Promise.all(others)]) publish(node);
const server = listen(dashboard(ada));
leaveOnSignal(ada);
console.log(`Open http://127.0.0.1:${server.addr.port}/dashboard/ to see the cluster.`);
await comeAndGo("eve");

function member(id: string, seeds: readonly string[]): Promise<Node> {
  const options: JoinOptions = { cluster: "orders", id, listen: { port: 0 }, seeds };
  return join(options);
}

/** Publishes a value that changes, and one that stays. */
function publish(node: Node): void {
  node.setState("version", "1.4.0");
  const ticking = setInterval(() => node.setState("load", Number(Math.random().toFixed(2))), 3_000);
  node.signal.addEventListener("abort", () => clearInterval(ticking));
}

/** A member that leaves and returns until the process ends. */
async function comeAndGo(id: string): Promise<void> {
  while (!ada.signal.aborted) {
    const node = await member(id, [ada.address]);
    publish(node);
    await pause(HERE_MS);
    await node.stop();
    await pause(AWAY_MS);
  }
}

/** Waits, but not beyond the departure of the member that shows the page. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    ada.signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}

function listen(show: DashboardHandler): Server {
  try {
    return serve(
      { port },
      async (request, info) => await show(request, info) ?? new Response("Not found.\n", { status: 404 }),
    );
  } catch (error) {
    if (error instanceof HearsayError && error.code === "cannot_listen") {
      giveUp(`Port ${port} is in use. Choose another with --port <number>.`);
    }
    throw error;
  }
}
