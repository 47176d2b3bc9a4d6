/**
 * A member on Deno as it is without the package `ws`. It prints its address, and runs until it is killed.
 *
 * @module
 */

import { join } from "../../../mod.ts";

const node = await join({ ...JSON.parse(Deno.args[0]!), listen: { port: 0 } });
console.log(JSON.stringify({ type: "listening", address: node.address }));
await node.closed;
