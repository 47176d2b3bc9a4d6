/**
 * A member that stops when it is told so by a line of its standard input, and then ends by itself, or with `exit` as
 * its second argument by `Deno.exit()`.
 *
 * @module
 */

import { join } from "../../mod.ts";

const [seed = "", how = ""] = Deno.args;
const config = { gossipInterval: 100, gossipRequestTimeout: 300 };
const node = await join({ cluster: "faults", seeds: [seed], listen: { port: 0 }, config });
await node.gossiper.converged();
console.log("met");
await Deno.stdin.read(new Uint8Array(16));
await node.stop();
console.log("stopped");
if (how === "exit") Deno.exit();
