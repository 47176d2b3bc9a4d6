import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "../../../deps/std_assert.ts";
import { HearsayError } from "../../../common/errors.ts";
import { type Memory, type MemoryOptions, remember } from "../../../discovery/memory/memory.ts";
import { textOf } from "../../../discovery/memory/remembered_peers.ts";
import { ConfigurationError, fixedMembers, join, seeds } from "../../../mod.ts";
import { VirtualRuntime } from "../../../testing/virtual_runtime.ts";
import { memberOf, TestContext } from "../context.ts";

const MINUTE_MS = 60_000;
const CLUSTER = { cluster: "test" };
const SELF = memberOf("self", 7009);

/** Runs a test with the path of a file in a folder of its own. */
async function withPath(run: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(`${folder}/peers.json`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The text of a file with these peers, active a moment ago. */
function fileOf(id: string, ...peers: readonly string[]): string {
  const seenUnixMilliseconds = Date.now() - 1_000;
  return textOf(
    { id, peers: peers.map((each) => ({ member: memberOf(each), seenUnixMilliseconds })) },
    "test",
  );
}

function contextOf(
  memory: Memory,
  options: { readonly cluster?: string; readonly runtime?: VirtualRuntime } = {},
) {
  return new TestContext(memory.discovery(), { self: { ...SELF, id: memory.id }, ...options });
}

function failuresOf({ events }: TestContext): string[] {
  return events.flatMap((event) =>
    event.type === "DiscoveryFailed" ? [`${event.source}: ${event.error}`] : []
  );
}

async function peersIn(path: string): Promise<string[]> {
  return JSON.parse(await Deno.readTextFile(path)).peers.map(({ id }: { id: string }) => id).sort();
}

Deno.test("memory: the next run has the id and the peers of the last run", () =>
  withPath(async (path) => {
    const first = await remember(path, { ...CLUSTER, writeInterval: 100 });
    assertEquals([first.problem, first.peers], [undefined, []]);
    assertMatch(first.id, /^[\da-f]{8}-[\da-f]{4}-4/);
    {
      await using context = contextOf(first);
      context.meet(memberOf("a"));
      await context.until(() => context.ids.includes("a"));
    }
    // The end wrote the last change, and freed the file.
    await using second = await remember(path, CLUSTER);
    assertEquals([second.problem, second.id, second.peers.map(({ id }) => id)], [undefined, first.id, ["a"]]);
    await Deno.remove(path);
    await second[Symbol.asyncDispose]();
    await using third = await remember(path, CLUSTER);
    assertNotEquals(third.id, first.id);
  }));

Deno.test("memory: the file is written soon after a change, and is not touched without a change", () =>
  withPath(async (path) => {
    await using memory = await remember(path, { ...CLUSTER, writeInterval: 100 });
    await using context = contextOf(memory);
    context.meet(memberOf("a"));
    let peers: string[] = [];
    await context.until(() => {
      void peersIn(path).then((read) => peers = read, () => {});
      return peers.join() === "a";
    });
    const { mtime } = await Deno.stat(path);
    context.eventStream.publish({ type: "MemberJoined", memberId: "a" });
    await context.until(() => context.events.some(({ type }) => type === "MemberJoined"));
    await context.stop();
    assertEquals((await Deno.stat(path)).mtime, mtime);
  }));

Deno.test("memory: without a change the file is written again after an eighth of maxAge, with the present times", () =>
  withPath(async (path) => {
    const runtime = new VirtualRuntime();
    await using memory = await remember(path, { ...CLUSTER, runtime, maxAge: 80 * MINUTE_MS });
    await using context = contextOf(memory, { runtime });
    context.meet(memberOf("a"));
    const seen = async () => {
      const text = await Deno.readTextFile(path).catch(() => '{"peers":[]}');
      return JSON.parse(text).peers[0]?.seenUnixMilliseconds - 1_700_000_000_000;
    };
    const untilSeen = async (atMs: number) => {
      let last = NaN;
      await context.until(() => {
        void seen().then((read) => last = read);
        return last === atMs;
      });
    };
    await runtime.advance(1_000);
    await untilSeen(1_000);
    // Other events do not cause a write.
    context.eventStream.publish({ type: "MemberJoined", memberId: "a" });
    await runtime.advance(10 * MINUTE_MS - 1);
    assertEquals(await seen(), 1_000);
    context.eventStream.publish({ type: "MemberJoined", memberId: "a" });
    await runtime.advance(1_000);
    await untilSeen(10 * MINUTE_MS + 1_999);
  }));

Deno.test("memory: the remembered peers are dialed until ten minutes after the first contact", () =>
  withPath(async (path) => {
    await Deno.writeTextFile(path, fileOf("me", "a"));
    const runtime = new VirtualRuntime();
    await using memory = await remember(path, { ...CLUSTER, runtime });
    await using context = contextOf(memory, { runtime });
    const dials = async (forMs: number) => {
      const from = context.greetings.length;
      await runtime.advance(forMs);
      return new Set(context.greetings.slice(from));
    };
    assertEquals(await dials(60 * MINUTE_MS), new Set(["ws://127.0.0.1:7001"]));
    context.eventStream.publish({ type: "MemberJoined", memberId: "b" });
    await dials(10 * MINUTE_MS - 1_000);
    assertEquals(await dials(1_000), new Set(["ws://127.0.0.1:7001"]));
    await dials(1_000);
    assertEquals(await dials(60 * MINUTE_MS), new Set());
  }));

Deno.test("memory: an unusable file causes an event instead of an exception, and stays as it is", () =>
  withPath(async (path) => {
    const texts = [
      fileOf("me", "a").slice(0, -9),
      fileOf("me", "a").replace('"test"', '"shop"'),
      fileOf("me", "a").replace('"version":1', '"version":2'),
      "x".repeat(300_000),
    ];
    for (const text of texts) {
      await Deno.writeTextFile(path, text);
      await using memory = await remember(path, { ...CLUSTER, writeInterval: 100 });
      assert(memory.problem instanceof HearsayError);
      assertEquals(memory.peers, []);
      assertNotEquals(memory.id, "me");
      {
        await using context = contextOf(memory);
        context.meet(memberOf("b"));
        await context.until(() => failuresOf(context).length > 0);
        await context.stop();
        assertEquals(failuresOf(context), [`the memory ${path}: ${memory.problem}`]);
        assertEquals(context.greetings, []);
      }
      assertEquals(await Deno.readTextFile(path), text);
    }
  }));

Deno.test("memory: a file that was repaired is used again within a minute", () =>
  withPath(async (path) => {
    await Deno.writeTextFile(path, "damaged");
    const runtime = new VirtualRuntime();
    await using memory = await remember(path, { ...CLUSTER, runtime });
    await using context = contextOf(memory, { runtime });
    context.meet(memberOf("a"));
    await runtime.advance(2_000);
    await Deno.remove(path);
    for (;;) {
      await runtime.advance(1_000);
      // The disk has its own time.
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (await Deno.stat(path).then(() => true, () => false)) break;
      assert(runtime.monotonicMs() < 3 * MINUTE_MS);
    }
    assertEquals(await peersIn(path), ["a"]);
    assertEquals(JSON.parse(await Deno.readTextFile(path)).id, memory.id);
  }));

Deno.test("memory: in another cluster than its options name, no peer is dialed and nothing is written", () =>
  withPath(async (path) => {
    const text = fileOf("me", "a");
    await Deno.writeTextFile(path, text);
    await using memory = await remember(path, CLUSTER);
    await using context = contextOf(memory, { cluster: "shop" });
    await context.until(() => failuresOf(context).length > 0);
    await context.stop();
    assertMatch(
      failuresOf(context)[0]!,
      /The cluster must be "test", as for `remember`; `join` has "shop"\./,
    );
    assertEquals([context.greetings, await Deno.readTextFile(path)], [[], text]);
  }));

Deno.test("memory: without the permissions for its file a member starts with a new id", {
  permissions: { net: ["127.0.0.1"], read: false, write: false },
}, async () => {
  await using memory = await remember("state/peers.json", CLUSTER);
  assert(memory.problem instanceof Deno.errors.NotCapable);
  await using context = contextOf(memory);
  await context.until(() => failuresOf(context).length > 0);
  assertMatch(failuresOf(context)[0]!, /^the memory state\/peers\.json: .* --allow-read=state\/ is missing/);
  await using other = await remember("state/peers.json", CLUSTER);
  const options = { cluster: "test", id: other.id, listen: { port: 0 }, log: false };
  await using node = await join({ ...options, discovery: other.discovery(seeds([])) });
  assertEquals(node.members.map(({ id, status }) => [id, status]), [[other.id, "alive"]]);
});

Deno.test("memory: serves one member, once", () =>
  withPath(async (path) => {
    await using memory = await remember(path, CLUSTER);
    const discovery = memory.discovery(seeds([]));
    assert(discovery.openMembership);
    assertEquals(assertThrows(() => memory.discovery(), HearsayError).code, "already_started");
    await memory[Symbol.asyncDispose]();
    const disposed = await remember(path, CLUSTER);
    await disposed[Symbol.asyncDispose]();
    assertThrows(() => disposed.discovery(), HearsayError, "A memory must be used by one member, once.");
  }));

Deno.test("memory: a list of members is refused as a source, because the remembered peers would join it", () =>
  withPath(async (path) => {
    await using memory = await remember(path, CLUSTER);
    const listed = fixedMembers([{ id: "a", host: "127.0.0.1", port: 7001 }]);
    const error = assertThrows(() => memory.discovery(seeds([]), listed), ConfigurationError);
    assertMatch(error.message, /`sources\[1\]` must learn its members by handshakes/);
    // The refusal has taken nothing.
    memory.discovery();
  }));

Deno.test("memory: one error names every invalid option, and no file is made", async () => {
  const given = { cluster: "", maxPeers: 0, maxAge: 999, writeInterval: 99, runtime: {}, file: 1 };
  const error = await assertRejects(
    () => remember("", given as unknown as MemoryOptions),
    ConfigurationError,
  );
  const fields = error.problems.map(({ field }) => field);
  assertEquals(fields.sort(), [
    "file",
    "options.cluster",
    "options.file",
    "options.maxAge",
    "options.maxPeers",
    "options.runtime",
    "options.writeInterval",
  ]);
  await assertRejects(
    () => remember("state/peers.json", { cluster: "a", maxPeers: 1_025 }),
    ConfigurationError,
  );
  // The bounds themselves are allowed.
  const bounds = { ...CLUSTER, maxAge: 1_000, writeInterval: 100 };
  for (const maxPeers of [1, 1_024]) {
    await withPath(async (path) =>
      await (await remember(path, { ...bounds, maxPeers }))[Symbol.asyncDispose]()
    );
  }
  await assertRejects(() => Deno.stat("state"), Deno.errors.NotFound);
});

Deno.test({
  name: "memory: a disk that hangs delays the start for five seconds only, and is used once it answers",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withPath(async (path) => {
      // Opening a pipe for writing waits for a reader.
      await new Deno.Command("mkfifo", { args: [`${path}.lock`] }).output();
      const runtime = new VirtualRuntime();
      const made: Memory[] = [];
      void remember(path, { ...CLUSTER, runtime }).then((memory) => made.push(memory));
      await runtime.advance(4_900);
      assertEquals(made, []);
      await runtime.advance(200);
      await using memory = made[0]!;
      assertMatch(String(memory.problem), /Opening .*peers\.json took longer than 5000 ms/);
      await using context = contextOf(memory, { runtime });
      context.meet(memberOf("a"));
      await runtime.advance(10_000);
      assertMatch(failuresOf(context).join(), /took longer than 5000 ms/);
      using _reader = await Deno.open(`${path}.lock`, { read: true });
      // The next attempt comes after a minute.
      await runtime.advance(61_000);
      await context.stop();
      assertEquals(await peersIn(path), ["a"]);
    }),
});
