import { assert, assertEquals, assertRejects, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { messagesOf } from "../../messages/messages.ts";
import { TestCluster } from "../requirements/harness.ts";
import { collect, talking } from "./cluster.ts";

Deno.test("broadcast: reaches every active member once, with the id of its sender (M1, M2)", async () => {
  const { cluster, of } = await talking(["a", "b", "c"]);
  await using _ = cluster;
  const received = ["a", "b", "c"].map((id) => collect(of(id), "t"));
  const { sent, skipped } = await cluster.finish(of("a").broadcast("t", { n: 1 }));
  await cluster.advance(100);
  assertEquals([[...sent].sort(), skipped], [["b", "c"], []]);
  assertEquals(received, [[], [{ payload: { n: 1 }, memberId: "a" }], [{ payload: { n: 1 }, memberId: "a" }]]);
});
