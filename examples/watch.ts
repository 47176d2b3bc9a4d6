/** One member counts, the other watches: the present value, then each change. `deno task examples watch` */
import { join } from "../mod.ts";

await using one = await join({ cluster: "orders", listen: { port: 0 } });
await using two = await join({ cluster: "orders", listen: { port: 0 }, seeds: [one.address] });

let count = 0;
const counting = setInterval(() => one.setState("count", ++count), 200);
one.signal.addEventListener("abort", () => clearInterval(counting));

for await (const { memberId, value } of two.watch("count")) {
  console.log(memberId, value);
  if (value === 5) break;
}
