/**
 * A service as it is deployed: `deno task service`. It takes orders at prices that all its instances share.
 *
 * The instances gossip on the port at which they serve, behind TLS, with keys from the environment; each is ready when
 * it knows what the others know, and leaves in good order when it is told to end. README.md says how to start three;
 * `examples/service/` has units for systemd and Kubernetes.
 *
 * @module
 */

import { join, leaveOnSignals, type Node, printable, serve, type Server } from "../mod.ts";
import { storyOf } from "./leave.ts";
import { OrderBook } from "./service/order_book.ts";
import { PriceList } from "./service/price_list.ts";
import { Readiness } from "./service/readiness.ts";
import { type Instance, respond } from "./service/routes.ts";
import { explainSettings, readSettings, type Settings } from "./service/settings.ts";
import { Traffic } from "./service/traffic.ts";
import { giveUp } from "./flags.ts";

/** How long the server may take to shut down when no request is under way. */
const SHUTDOWN_MS = 500;

const settings = await readSettings().catch(explainSettings);
const readiness = new Readiness();
const traffic = new Traffic();
/** Empty while this instance joins. */
const here: { instance?: Instance } = {};

// The server is there first: who asks meanwhile whether this instance is alive or ready is told.
const server = listen(settings);
const node = await joinCluster(settings).catch(explainSettings);
here.instance = { node, prices: new PriceList(node), orders: new OrderBook(node), readiness };

leaveOnSignals(node, {
  async beforeLeaving({ signal }) {
    readiness.leave();
    console.log("leaving: not ready any more");
    // Until whoever sends requests here has noticed; what comes meanwhile is answered.
    await traffic.drained({ forMs: settings.drainMs, signal });
  },
  async afterLeaving({ flush }) {
    console.log(storyOf(flush));
    // Not before: it would end the connections of peers too. The requests were waited for; it would wait for
    // connections as well on which nobody says anything.
    await Promise.race([server.shutdown(), new Promise((resolve) => setTimeout(resolve, SHUTDOWN_MS))]);
  },
});
void node.gossiper.closed.then(({ reason, error }) => {
  // A member that has failed does not come back: the platform starts another.
  if (reason === "failed") giveUp(`The member has failed: ${printable(String(error))}`);
});
void tellWhoIsBlocked(node);
const { origin } = new URL(node.address.replace(/^ws/, "http"));
console.log(`listening: ${origin}`);
const how = await readiness.reached(node, { withinMs: settings.readyWithinMs });
if (how !== undefined) console.log(`ready: ${how}`);

function listen({ listenHost, port, cert, key }: Settings): Server {
  try {
    // Not `Deno.serve`, which ends the process when clients have opened more connections than it may have.
    return serve({ hostname: listenHost, port, cert, key }, async (request, info) => {
      // What is for the member is no request of a client.
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
    // The certificate is the server's; what is trusted when others are dialled is said here.
    tls: { caCerts },
    config: { heartbeatExpiration },
  });
}

async function tellWhoIsBlocked({ gossiper }: Node): Promise<void> {
  for await (const event of gossiper.events.subscribe(["MemberBlocked", "SeedFailed", "ClientRefused"])) {
    if (event.type === "MemberBlocked") {
      console.log(`blocked: ${printable(event.memberId)} (${event.reason})`);
    } else if (event.type === "SeedFailed") {
      console.log(`not reached: ${event.address}: ${printable(String(event.error))}`);
    } else if (event.type === "ClientRefused") console.log(`refused: ${event.remote}: ${event.reason}`);
  }
}
