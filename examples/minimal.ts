/** Two members: one sets a value, the other reads it. `deno task examples minimal` */
import { join } from "../mod.ts";

await using one = await join({ cluster: "orders", listen: { port: 0 } });
await using two = await join({ cluster: "orders", listen: { port: 0 }, seeds: [one.address] });

one.setState("load", { cpu: 0.3 });
await one.converged({ signal: AbortSignal.timeout(10_000) });
for (const [memberId, { value }] of two.getState("load")) console.log(memberId, value);
