import { assertEquals, assertRejects } from "../../deps/std_assert.ts";
import { fixedMembers } from "../../discovery/fixed.ts";
import { ConfigurationError } from "../../gossiper/configuration_error.ts";
import { HEARSAY_KIND, joinProtoactor } from "../../protoactor.ts";

const discovery = fixedMembers([]);

Deno.test("a member that joins has an id of its own for every life, and the kind that its own kind knows it by", async () => {
  await using one = await joinProtoactor({ cluster: "orders", discovery, kinds: ["cart"] });
  await using two = await joinProtoactor({ cluster: "orders", discovery });
  assertEquals(one.member.id === two.member.id, false);
  assertEquals([one.member.host, one.member.kinds], ["127.0.0.1", ["cart", HEARSAY_KIND]]);
});

Deno.test("a member says where others reach it, and must where it listens at every address", async () => {
  const advertise = { host: "127.0.0.1", port: 7_999 };
  await using node = await joinProtoactor({ cluster: "orders", discovery, advertise });
  assertEquals([node.member.host, node.member.port], ["127.0.0.1", 7_999]);
  const everywhere = { cluster: "orders", discovery, listen: { hostname: "0.0.0.0" } };
  await assertRejects(() => joinProtoactor(everywhere), ConfigurationError, "advertise is missing");
});

Deno.test("R12.3 everything that is wrong in the options is told at once, under its own name", async () => {
  const options = {
    cluster: "",
    discovry: discovery,
    kinds: "x",
    listen: { port: -1 },
    advertise: { host: "a" },
    decoders: { "a.B": 5 },
    signal: 5,
    config: { gossipFanOut: 0 },
  };
  const { problems } = await assertRejects(() => joinProtoactor(options as never), ConfigurationError);
  assertEquals(problems.map(({ field }) => field), [
    "discovry",
    "cluster",
    "discovery",
    "kinds",
    "decoders.a.B",
    "signal",
    "listen.port",
    "advertise.port",
    "gossipFanOut",
  ]);
  const none = await assertRejects(() => joinProtoactor(undefined as never), ConfigurationError);
  assertEquals(none.problems[0]?.field, "options");
});

Deno.test("R1.3 a member whose signal was aborted before it joined opens nothing", async () => {
  const reason = new Error("enough");
  const error = await assertRejects(() =>
    joinProtoactor({ cluster: "orders", discovery, signal: AbortSignal.abort(reason) })
  );
  assertEquals(error, reason);
});
