/**
 * Takes the place of `deno_platform.ts` in a run of other tests: servers and sockets are those of Node's platform. A server
 * that these tests ask for must listen at once, so some listen beforehand. One with TLS, or at a certain address, is Deno's.
 *
 * @module
 */

// With a query, the module is not replaced by this one.
import { denoPlatform as real } from "../../../transport/web_socket/deno_platform.ts?real";
import type { Platform } from "../../../transport/web_socket/platform.ts";
import { NodePlatform } from "../../../transport/ws/platform.ts";
import { BoundServer } from "../../../transport/ws/server.ts";
import { Upgrades } from "../../../transport/ws/upgrades.ts";

/** As many servers as a test needs at once. */
const LISTENING = 64;

const node = await NodePlatform.make({ maxMessageBytes: 2 ** 25 });
const upgrades = new Upgrades(2 ** 26);
const bound: BoundServer[] = [];
const fill = async () => void bound.push(await BoundServer.bind({ port: 0 }));
await Promise.all(Array.from({ length: LISTENING }, fill));
const counts = { node: 0, deno: 0, upgrades: 0 };

/** Node's platform, by the name of the module that this one replaces. */
export const denoPlatform: Platform = {
  tokenIn: "header",
  serve(options, handler) {
    const isNode = options.port === 0 && options.hostname === "127.0.0.1" && options.cert === undefined;
    if (!isNode) {
      counts.deno++;
      return real.serve(options, handler);
    }
    counts.node++;
    const server = bound.shift()!;
    void fill();
    return server.serve(upgrades, options, handler);
  },
  upgrade(request, options) {
    try {
      const upgraded = upgrades.upgrade(request);
      counts.upgrades++;
      return upgraded;
    } catch (error) {
      // A request of a server of Deno.
      if (!upgrades.has(request)) return real.upgrade(request, options);
      throw error;
    }
  },
  dialer: (options) => node.dialer(options),
  ownAddresses: () => real.ownAddresses(),
};

globalThis.addEventListener("unload", () => console.error(`SUITE ${JSON.stringify(counts)}`));
