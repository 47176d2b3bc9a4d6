/**
 * Members on Node and Bun: `@hearsay/gossip/ws`.
 *
 * {@linkcode join} works like `join` of `@hearsay/gossip`, with servers of Node and sockets of the package `ws`.
 * Members on Node, Bun and Deno can form one cluster.
 *
 * ```ts
 * import { join } from "@hearsay/gossip/ws";
 *
 * const one = await join({ cluster: "orders", listen: { port: 0 } });
 * const two = await join({ cluster: "orders", listen: { port: 0 }, seeds: [one.address] });
 * one.setState("version", "1.4.0");
 * for await (const { memberId, value } of two.watch("version")) {
 *   console.assert(memberId === one.id && value === "1.4.0");
 *   break;
 * }
 * await Promise.all([one.stop(), two.stop()]);
 * ```
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import { NodePlatform } from "../transport/ws/platform.ts";
import type { Handshake, Upgrades } from "../transport/ws/upgrades.ts";
import { joinOn, type Node } from "./join.ts";
import type { JoinOptions } from "./join_options.ts";

export type { Node } from "./join.ts";
export type { JoinOptions } from "./join_options.ts";

/** The requests for upgrades of each node. */
const UPGRADES = new WeakMap<Node, Upgrades>();

/**
 * Joins a cluster on Node or Bun, like `join` of `@hearsay/gossip` on Deno: the same options, checks and limits.
 *
 * @throws {ConfigurationError} naming every fault in the options.
 * @throws {HearsayError} with code `cannot_listen` if the port is taken, or if the runtime is older than Node 22.
 *
 * @example Two members that find each other
 * ```ts
 * import { join } from "@hearsay/gossip/ws";
 *
 * const one = await join({ cluster: "orders", listen: { port: 0 } });
 * const two = await join({ cluster: "orders", listen: { port: 0 }, seeds: [one.address] });
 * await two.whenMembers(2, { signal: AbortSignal.timeout(10_000) });
 * await Promise.all([one.stop(), two.stop()]);
 * ```
 */
export async function join(options: JoinOptions): Promise<Node> {
  assertRecent();
  let upgrades: Upgrades | undefined;
  const node = await joinOn(async (given) => {
    const platform = await NodePlatform.make(given);
    upgrades = platform.upgrades;
    return platform;
  }, options);
  UPGRADES.set(node, upgrades!);
  return node;
}

/** The methods of a `node:http` or `node:https` server that {@linkcode mount} uses. */
export interface UpgradingServer {
  /** Adds a listener. */
  on(event: "upgrade", listener: (...given: unknown[]) => void): unknown;
  /** Removes a listener. */
  off(event: "upgrade", listener: (...given: unknown[]) => void): unknown;
}

/**
 * Lets a member of this module's `join` accept peers in a service's own server, at the path `/<gossipActorName>`. Set
 * `advertise` in place of `listen`. Requests for other paths are left to the server's other listeners. Ends when the
 * member leaves.
 *
 * @throws {HearsayError} with code `invalid_configuration` for a node of another `join`.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { join, mount } from "@hearsay/gossip/ws";
 *
 * const server = createServer((_request, response) => void response.end("the service's own"));
 * await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
 * const { port } = server.address() as { port: number };
 * const node = await join({ cluster: "shop", advertise: { host: "127.0.0.1", port } });
 * mount(server, node);
 * await node.stop();
 * await new Promise((resolve) => server.close(resolve));
 * ```
 */
export function mount(server: UpgradingServer, node: Node): void {
  const upgrades = UPGRADES.get(node);
  if (!upgrades) {
    const text = "`mount` needs a node of `join` of @hearsay/gossip/ws. Nothing was mounted.";
    throw new HearsayError("invalid_configuration", text);
  }
  const listener = (...given: unknown[]) => {
    const [message, socket, head] = given as [Handshake["message"], Handshake["socket"], Handshake["head"]];
    void upgrades.handle({ message, socket, head }, node.handler);
  };
  server.on("upgrade", listener);
  void node.closed.then(() => server.off("upgrade", listener));
}

/** Node 20 lacks many functions that the library uses, so a call would fail halfway. */
function assertRecent(): void {
  if (typeof Promise.withResolvers === "function") return;
  throw new HearsayError(
    "cannot_listen",
    "Hearsay needs Node 22.3, Bun 1.2 or a later version. Nothing was opened.",
  );
}
