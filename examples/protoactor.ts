/**
 * A member of protoactor-go and a Hearsay member in one cluster: each sets a value and reads the other's. Needs Go.
 *
 * ```sh
 * deno task protoactor
 * ```
 *
 * @module
 */

import { printable } from "@hearsay/gossip";
import { joinProtoactor } from "@hearsay/gossip/protoactor";
import { autoManaged } from "@hearsay/gossip/protoactor-discovery";
import { GoMember, whyNoGo } from "./protoactor/go_member.ts";

/** The ports of both `/_health` servers and of the Go member's remoting; arguments replace them. */
const [GO_HEALTH_PORT = 6330, HEALTH_PORT = 6331, GO_PORT = 6340] = Deno.args.map(Number);
const HEALTH = [`127.0.0.1:${GO_HEALTH_PORT}`, `127.0.0.1:${HEALTH_PORT}`];
/** The time limit of each step. */
const BOUND_MS = 30_000;

const reason = await whyNoGo();
if (reason !== undefined) {
  console.error(`This example builds a member of protoactor-go and needs Go: ${reason}.`);
  Deno.exit(1);
}

console.log("Building a member of protoactor-go (the first build takes some minutes on a busy machine) …");
await using go = await GoMember.start({ cluster: "greetings", port: GO_PORT, health: HEALTH });
await using node = await joinProtoactor({
  cluster: "greetings",
  discovery: autoManaged({ hosts: HEALTH, port: HEALTH_PORT, refreshInterval: 500 }),
});
const signal = AbortSignal.timeout(BOUND_MS);

await go.set("greeting", { text: "hello from Go" });
for await (const { memberId, value } of node.watch("greeting", { signal })) {
  if (memberId !== go.id) continue;
  console.log("Deno reads:", printable(JSON.stringify(value)));
  break;
}

await node.setStateRequest("greeting", { text: "hello from Deno" }, { acknowledgedBy: "all", signal });
console.log("Go reads:  ", printable(JSON.stringify(await go.get("greeting", node.id))));
