/**
 * A member that stops after a line on its standard input. Its process then ends without help, or by `Deno.exit()` if the
 * second argument is `exit`.
 *
 * @module
 */

import { join } from "../../mod.ts";

const [seed = "", how = ""] = Deno.args;
const config = { gossipInterval: 100, gossipRequestTimeout: 300 };
const node = await join({ cluster: "faults", seeds: [seed], listen: { port: 0 }, config });
await node.converged();
console.log("met");
await Deno.stdin.read(new Uint8Array(16));
await node.stop();
console.log("stopped");
if (how === "exit") Deno.exit();
