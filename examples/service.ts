/**
 * A service ready for deployment: `deno task service`. It takes orders at prices that all its instances share.
 *
 * The instances gossip on the port of their HTTP server, behind TLS, with keys from the environment. An instance is
 * ready after it has the state of the others, and leaves gracefully at SIGTERM. docs/deployment.md shows how to start three;
 * `examples/service/` has units for systemd and Kubernetes.
 *
 * @module
 */

import { join, leaveOnSignals, type Node, printable, serve, type Server } from "../mod.ts";
import { MemberMeters, metrics } from "../operations/metrics/mod.ts";
import { logTo, operations, type ReadyReport } from "../operations/mod.ts";
import { storyOf } from "./leave.ts";
import { OrderBook } from "./service/order_book.ts";
import { PriceList } from "./service/price_list.ts";
import { type Instance, respond } from "./service/routes.ts";
import { explainSettings, readSettings, type Settings } from "./service/settings.ts";
import { Traffic } from "./service/traffic.ts";
import { giveUp } from "./flags.ts";

/** The longest shutdown of the server after the last request was answered. */
const SHUTDOWN_MS = 500;

const settings = await readSettings().catch(explainSettings);
const traffic = new Traffic();
/** Empty until this instance has joined. */
const here: { instance?: Instance } = {};

// The server starts first: probes of `/live` and `/ready` have to be answered while the instance joins.
const server = listen(settings);
const meters = new MemberMeters();
const node = await joinCluster(settings).catch(explainSettings);
// An instance is ready after it has the state of the others, so that none answers with older prices; or after this time
// in any case, because the first instance is alone, and a partitioned one serves with its own state.
const operate = operations(node, {
  metrics: () => metrics(meters),
  within: settings.readyWithinMs,
  waitsFor: () => instance.isLeaving ? "This instance is leaving." : undefined,
});
const instance: Instance = {
  node,
  prices: new PriceList(node),
  orders: new OrderBook(node),
  operate,
  isLeaving: false,
};
here.instance = instance;

leaveOnSignals(node, {
  async beforeLeaving({ signal }) {
    instance.isLeaving = true;
    console.log("leaving: no longer ready");
    // Clients and load balancers need this time to notice; their requests are still answered.
    await traffic.drained({ forMs: settings.drainMs, signal });
  },
  async afterLeaving({ flush }) {
    console.log(storyOf(flush));
    // Only now: a shutdown also closes the connections of peers. All requests are answered by then, but the shutdown
    // would also wait for idle connections.
    await Promise.race([server.shutdown(), new Promise((resolve) => setTimeout(resolve, SHUTDOWN_MS))]);
  },
});
void node.closed.then(({ reason, error }) => {
  // A failed member does not recover. The platform restarts the process.
  if (reason === "failed") giveUp(`The member failed: ${printable(String(error))}`);
});
// Each event of trouble, and each change of membership, is a line of the service's own log.
const print = (sentence: string) => console.log(sentence);
logTo(node, { debug: print, info: print, warn: print, error: print }, { level: "info" });
const { origin } = new URL(node.address.replace(/^ws/, "http"));
console.log(`listening: ${origin}`);
// It rejects if the instance leaves before it is ready.
await operate.whenReady().then((report) => console.log(`ready: ${howReady(report, settings)}`), () => {});

function howReady({ members, converged }: ReadyReport, { readyWithinMs }: Settings): string {
  if (converged) return `${members} members have the same state`;
  return members === 1
    ? `alone, after ${readyWithinMs} ms`
    : `after ${readyWithinMs} ms, without convergence`;
}

function listen({ listenHost, port, cert, key }: Settings): Server {
  try {
    // Not `Deno.serve`: it would end the process when clients open more connections than it may have.
    return serve({ hostname: listenHost, port, cert, key }, async (request, info) => {
      // Requests for the member do not count as traffic: they last as long as a connection.
      return await here.instance?.node.handler(request, info) ??
        await traffic.carry(() => respond(request, here.instance));
    });
  } catch (error) {
    return explainSettings(error);
  }
}

function joinCluster({ advertiseHost, seeds, keys, caCerts, heartbeatExpiration }: Settings): Promise<Node> {
  return join({
    cluster: "orders",
    advertise: { host: advertiseHost, port: server.addr.port },
    seeds,
    authentication: { keys },
    // The server has the certificate. These authorities are for dials.
    tls: { caCerts },
    config: { heartbeatExpiration },
    meters,
    log: false,
  });
}
