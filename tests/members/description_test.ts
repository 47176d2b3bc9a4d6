import { assertEquals, assertStrictEquals, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { TYPE } from "../../engine/types.ts";
import { insightOf } from "../../gossiper/gossiper.ts";
import { described } from "../../members/reading.ts";
import { describeMember, memberInfo, membersInZone } from "../../members/mod.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { recordOf, TestCluster } from "../requirements/harness.ts";
import { confirmed } from "./harness.ts";

const KEY = "members.description";
const KINDS = { kindsOf: () => ["worker", "zone:eu"] };

/** The tags, zone and kinds of a member, as another sees them. */
function seenAt(cluster: TestCluster, at: string, id: string) {
  const { tags, zone, kinds } = memberInfo(cluster.of(at).gossiper, id)!;
  return { tags, zone, kinds };
}

Deno.test("describeMember: changes tags, zone and kinds at every member while it runs", async () => {
  await using cluster = await confirmed(["a", "b", "c"], KINDS);
  const { gossiper: a } = cluster.of("a");
  describeMember(a, { tags: ["gpu", "ssd"], zone: "us", kinds: ["cart"] });
  await cluster.runUntil(() => cluster.isConfirmed() && cluster.of("c").value("a", KEY) !== undefined);
  for (const at of ["a", "b", "c"]) {
    assertEquals(seenAt(cluster, at, "a"), { tags: ["gpu", "ssd"], zone: "us", kinds: ["cart"] });
  }
  describeMember(a, { tags: ["slow"] });
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(seenAt(cluster, "c", "a").tags, ["slow"]);
  assertEquals(seenAt(cluster, "c", "a").zone, memberInfo(a, "a")!.zone);
  describeMember(a, {});
  await cluster.runUntil(() => cluster.isConfirmed() && cluster.of("b").value("a", KEY) === undefined);
  assertEquals(seenAt(cluster, "b", "a").tags, []);
});

Deno.test("describeMember: without a zone in the description, the kind `zone:<zone>` of the record gives the zone", async () => {
  await using cluster = new TestCluster(["a"], {
    fixed: false,
    cluster: { self: { ...recordOf("a"), kinds: ["zone:", "worker", "zone:eu"] } },
  });
  const { gossiper } = cluster.make("a");
  await gossiper.start();
  assertEquals(memberInfo(gossiper, "a")!.zone, "eu");
  describeMember(gossiper, { zone: "us" });
  assertEquals(memberInfo(gossiper, "a")!.zone, "us");
  assertEquals([membersInZone(gossiper, "eu"), membersInZone(gossiper, "us").length], [[], 1]);
  describeMember(gossiper, { kinds: ["zone:asia"] });
  assertEquals(memberInfo(gossiper, "a")!.zone, "asia");
});

Deno.test("describeMember: sets nothing if the description is equal", async () => {
  await using cluster = new TestCluster(["a"], { fixed: false });
  const { gossiper } = cluster.make("a");
  const number = () => gossiper.getState(KEY).get("a")?.sequenceNumber;
  describeMember(gossiper, {});
  assertEquals(number(), undefined);
  describeMember(gossiper, { tags: ["gpu"], zone: "eu" });
  const first = number();
  describeMember(gossiper, { zone: "eu", tags: ["gpu"] });
  assertEquals(number(), first);
  describeMember(gossiper, { zone: "eu", tags: ["cpu"] });
  assertEquals(number(), first! + 1);
});

Deno.test("describeMember: refuses invalid descriptions, and changes nothing", async () => {
  await using cluster = new TestCluster(["a"], { fixed: false });
  const { gossiper } = cluster.make("a");
  describeMember(gossiper, { tags: ["gpu"] });
  const cases: [unknown, string][] = [
    [{ tags: "gpu" }, "`tags` must be a list of at most 64 texts of 1 to 256 bytes"],
    [{ tags: [""] }, "`tags` must be a list of at most 64 texts of 1 to 256 bytes"],
    [
      { tags: Array(65).fill("a") },
      "`tags` must be a list of at most 64 texts of 1 to 256 bytes; got a list of 65",
    ],
    [{ zone: "" }, "`zone` must be a text of 1 to 256 bytes"],
    [{ zone: "é".repeat(129) }, "`zone` must be a text of 1 to 256 bytes"],
    [{ kinds: [1] }, "`kinds` must be a list"],
    [{ zones: "eu" }, "`zones` is not an option (did you mean zone?)"],
  ];
  for (const [given, text] of cases) {
    assertThrows(() => describeMember(gossiper, given as never), ConfigurationError, text);
  }
  assertEquals(memberInfo(gossiper, "a")!.tags, ["gpu"]);
  await gossiper[Symbol.asyncDispose]();
  assertThrows(() => describeMember(gossiper, { zone: "eu" }), HearsayError, "has stopped");
});

Deno.test("memberInfo: leaves out each field of a peer's description that has the wrong form", async () => {
  await using cluster = await confirmed(["a", "b"], KINDS);
  const { gossiper: a } = cluster.of("a");
  const recorded = { tags: [], zone: "eu", kinds: ["worker", "zone:eu"] };
  const cases: [unknown, Partial<ReturnType<typeof seenAt>>][] = [
    ["text", {}],
    [null, {}],
    [[1], {}],
    [{ tags: "gpu", zone: 1, kinds: {} }, {}],
    [{ tags: [1], zone: "us" }, { zone: "us" }],
    [{ tags: ["gpu"], zone: "" }, { tags: ["gpu"] }],
    [{ kinds: ["cart", "zone:us"], tags: Array(65).fill("a") }, { kinds: ["cart", "zone:us"], zone: "us" }],
    [{ zone: "x".repeat(257) }, {}],
    [{ tags: Array(64).fill("a"), zone: "x".repeat(256) }, {
      tags: Array(64).fill("a"),
      zone: "x".repeat(256),
    }],
  ];
  for (const [value, expected] of cases) {
    a.setState(KEY, value);
    const text = JSON.stringify(value);
    await cluster.runUntil(() => JSON.stringify(cluster.of("b").value("a", KEY)) === text);
    assertEquals(seenAt(cluster, "b", "a"), { ...recorded, ...expected }, text);
  }
});

Deno.test("memberInfo: reads a description once, and not for each choice of a member, however large it is", async () => {
  await using cluster = await confirmed(["a", "b"], KINDS);
  let reads = 0;
  const entry = {
    ...{ key: KEY, number: 1, type: TYPE.value, json: "", timestampMs: 0 },
    get value() {
      reads++;
      return { tags: ["gpu"], large: [[], []] };
    },
  };
  for (let times = 0; times < 3; times++) {
    assertEquals(described(["worker", "zone:eu"], entry), {
      kinds: KINDS.kindsOf(),
      tags: ["gpu"],
      zone: "eu",
      nearFirst: false,
    });
  }
  assertEquals(reads, 1);
  // A stored entry is the same object at each look.
  const { view } = insightOf(cluster.of("a").gossiper).host;
  describeMember(cluster.of("b").gossiper, { tags: ["gpu"] });
  await cluster.runUntil(() => view.get("b", KEY) !== undefined);
  assertStrictEquals(view.get("b", KEY), view.get("b", KEY));
});
