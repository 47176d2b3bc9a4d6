/** Three members meet; one leaves. The first prints what it sees. `deno task examples members` */
import { join } from "../mod.ts";

const listen = { port: 0 };
await using one = await join({ cluster: "orders", listen });
await using _two = await join({ cluster: "orders", listen, seeds: [one.address] });
const three = await join({ cluster: "orders", listen, seeds: [one.address] });

const members = await one.whenMembers(3, { stableFor: 500, signal: AbortSignal.timeout(10_000) });
console.log(`${members.length} members are alive.`);

const changes = one.watchMembers();
await three.stop();
for await (const { id, status, isSelf } of changes) {
  console.log(id, status, isSelf ? "(this member)" : "");
  if (status === "left") break;
}
