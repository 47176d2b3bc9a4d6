// A member serves eight observers. The command is one, so a ninth is refused.

import { assertEquals, assertMatch } from "../../../deps/std_assert.ts";
import { join, type JoinOptions, type Node } from "../../../mod.ts";
import { Observer } from "../../../observer/client.ts";
import { MAX_OBSERVERS } from "../../../observer/protocol.ts";
import { run } from "../terminal.ts";

function member(options: Partial<JoinOptions>): Promise<Node> {
  const config = { gossipInterval: 50, gossipRequestTimeout: 300 };
  return join({ cluster: "orders", listen: { port: 0 }, log: false, config, ...options });
}

/** Connects observers to a member, until their disposal. */
async function observe(node: Node, count: number): Promise<AsyncDisposable> {
  const observers = await Promise.all(Array.from({ length: count }, () => Observer.connect(node.address)));
  return {
    async [Symbol.asyncDispose]() {
      for (const observer of observers) await observer[Symbol.asyncDispose]();
    },
  };
}

Deno.test("doctor: says of a member with eight observers what to end, because that limit is fixed", async () => {
  await using node = await member({});
  await using _observers = await observe(node, MAX_OBSERVERS);
  const { code, output } = await run(["doctor", "--at", node.address]);
  assertEquals(code, 1);
  assertMatch(
    output,
    /^Fault: observers refused\. The member at \S+ takes no further observer \(503\): At most 8/,
  );
  assertMatch(output, /^Do: End a command that still runs there .* The limit is fixed\.$/m);
});

Deno.test("doctor: another member with eight observers is no fault of the cluster", async () => {
  await using ada = await member({ id: "ada" });
  await using ben = await member({ id: "ben", seeds: [ada.address] });
  await Promise.all([ada, ben].map((node) => node.whenMembers(2)));
  await using _observers = await observe(ada, MAX_OBSERVERS);
  const { code, output } = await run(["doctor", "--at", ben.address]);
  assertEquals(code, 0, output);
  assertMatch(output, /^ {2}!! {2}member +"ada" at \S+: The member at \S+ takes no further observer/m);
});

Deno.test("members: a member that refuses a ninth observer is exit code 4, as each refusal", async () => {
  await using node = await member({});
  await using _observers = await observe(node, MAX_OBSERVERS);
  const { code, errors } = await run(["members", "--at", node.address]);
  assertEquals(code, 4);
  assertMatch(errors, /accepts no connection now \(503\): .* `hearsay doctor` looks for the fault\.$/m);
});
