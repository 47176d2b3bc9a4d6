/**
 * A program with a single member of a protoactor-go cluster. It prints its port and each `ListenFailed`, and ends when
 * its standard input ends.
 *
 * @module
 */

import { fixedMembers } from "../../mod.ts";
import { joinProtoactor } from "../../protoactor/join.ts";

const node = await joinProtoactor({ cluster: "faults", discovery: fixedMembers([]) });
console.log(`listening: ${node.member.port}`);
void (async () => {
  for await (const event of node.events.subscribe("ListenFailed")) console.log(event.type);
})();
for await (const _ of Deno.stdin.readable);
await node.stop();
console.log("stopped");
