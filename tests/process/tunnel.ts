/**
 * Dials a name over TLS at one of its addresses, in a process that may dial anything: first a transport, then members that
 * find each other by a name with both of their addresses.
 *
 * @module
 */

import { join, type Node } from "../../mod.ts";
import { WebSocketTransport } from "../../transport/mod.ts";
import { seeds } from "../../discovery/seeds.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import { Authority } from "../security/certificates.ts";
import { freePort } from "./ports.ts";

const NAME = "orders.test";
const ADDRESSES = ["127.0.0.1", "127.0.0.2"] as const;
const nameServerPort = Number(Deno.args[0]);
const signal = AbortSignal.timeout(15_000);
const authority = await Authority.make();
const caCerts = [authority.cert];
const tls = await authority.sign({
  names: [{ type: "dns", value: NAME }, ...ADDRESSES.map((value) => ({ type: "ip" as const, value }))],
});

await dialByTransport();
if (nameServerPort > 0) await joinByName();

async function dialByTransport(): Promise<void> {
  const limits = { path: "gossip", maxMessageBytes: 65_536, connectTimeout: 2_000 };
  const server = new WebSocketTransport({ ...limits, listen: { port: 0, tls }, insecure: true });
  const client = new WebSocketTransport({ ...limits, caCerts });
  const { port } = new URL(server.address!);
  const dialed = await client.dial(`wss://${NAME}:${port}#127.0.0.1`, { signal });
  const { value: accepted } = await server.incoming.getReader().read();
  await dialed.writable.getWriter().write({ type: "ack", id: "1", holds: new Map() });
  await accepted!.writable.getWriter().write({ type: "ack", id: "2", holds: new Map() });
  const [there, here] = await Promise.all(
    [accepted!, dialed].map(({ readable }) => readable.getReader().read()),
  );
  console.log(`passed: ${JSON.stringify([there!.value, here!.value])}`);
  for (const address of [`wss://other.test:${port}#127.0.0.1`, `wss://${NAME}:${port}#127.0.0.3`]) {
    await client.dial(address, { signal }).catch((error) => console.log(`refused: ${error.message}`));
  }
  await Promise.all([client.close(), server.close()]);
  console.log("closed");
}

/** Two members without seeds, and one with the name of both as its only seed. */
async function joinByName(): Promise<void> {
  const keys = [await newClusterKey()];
  const options = { cluster: "orders", config: { gossipInterval: 50 }, tls: { ...tls, caCerts } };
  const port = freePort(ADDRESSES[1]);
  const aliases = [`wss://${NAME}:${port}`];
  const islands: Node[] = [];
  for (const hostname of ADDRESSES) {
    islands.push(await join({ ...options, listen: { hostname, port }, authentication: { keys, aliases } }));
  }
  const nameServer = { ipAddr: "127.0.0.1", port: nameServerPort };
  const node = await join({
    ...options,
    listen: { port: 0 },
    authentication: { keys },
    discovery: seeds([`wss://${NAME}:${port}`], { nameServer }),
  });
  for await (const _ of node.events.subscribe(["ClusterTopology", "GossipUpdate"], { signal })) {
    if (node.members.filter(({ status }) => status === "alive").length === 3) break;
  }
  signal.throwIfAborted();
  console.log(`met: ${node.snapshot().seeds.map(({ address }) => address).sort().join(" ")}`);
  await Promise.all([node, ...islands].map((each) => each.stop()));
  console.log("left");
  // Deno may keep a stopped process for a while if a dial between members hangs.
  Deno.exit(0);
}
