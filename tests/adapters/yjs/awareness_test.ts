import { assert, assertEquals, assertMatch, assertThrows } from "../../../deps/std_assert.ts";
import { Awareness, Doc, protocol } from "../../../deps/yjs.ts";
import {
  shareAwareness,
  type ShareAwarenessOptions,
  type SharedAwareness,
} from "../../../adapters/yjs/awareness.ts";
import { HearsayError } from "../../../common/errors.ts";
import { ConfigurationError, join } from "../../../mod.ts";
import { memoryAddress } from "../../../testing/memory.ts";
import { TestCluster } from "../../requirements/harness.ts";

const CONFIG = {
  gossipInterval: 100,
  gossipRequestTimeout: 200,
  heartbeatExpiration: 2_000,
  blockedProbeInterval: 1_000,
};
const ORIGIN_OF_YJS = "timeout";

type Options = Partial<ShareAwarenessOptions<Awareness>>;

/** A change of an awareness, and its cause. */
interface Change {
  readonly added: readonly number[];
  readonly updated: readonly number[];
  readonly removed: readonly number[];
  readonly origin: unknown;
}

/** A member that edits a document. */
class Editor implements Disposable {
  readonly id: string;
  readonly doc = new Doc();
  readonly awareness = new Awareness(this.doc);
  readonly changes: Change[] = [];
  readonly errors: string[] = [];
  readonly shared: SharedAwareness;
  readonly #cluster: TestCluster;

  constructor(cluster: TestCluster, id: string, options: Options = {}) {
    this.id = id;
    this.#cluster = cluster;
    this.awareness.on("change", (change: Omit<Change, "origin">, origin: unknown) => {
      this.changes.push({ ...change, origin });
    });
    const { gossiper, runtime } = cluster.of(id);
    this.shared = shareAwareness(gossiper, this.awareness, {
      protocol,
      runtime,
      onError: (error) => this.errors.push((error as Error).message),
      ...options,
    });
  }

  get client(): number {
    return this.awareness.clientID;
  }

  set(name: string): void {
    this.awareness.setLocalStateField("name", name);
  }

  /** The names that it sees, by editor. */
  seen(editors: readonly Editor[]): string {
    const states = this.awareness.getStates();
    return editors.filter(({ client }) => states.has(client))
      .map(({ id, client }) => `${id}=${states.get(client)!.name}`).join();
  }

  /** The number of sets of its member. */
  get sets(): number {
    return this.#cluster.of(this.id).gossiper.getState("awareness").get(this.id)?.sequenceNumber ?? 0;
  }

  [Symbol.dispose](): void {
    this.shared[Symbol.dispose]();
    // It ends the timer of the awareness.
    this.doc.destroy();
  }
}

/** Editors `a`, `b`, …, and their members. */
async function editing(
  count: number,
  run: (editors: readonly Editor[], cluster: TestCluster) => Promise<void>,
  options: Options = {},
): Promise<void> {
  const ids = ["a", "b", "c"].slice(0, count);
  await using cluster = await TestCluster.started(ids, { config: CONFIG });
  const editors = ids.map((id) => new Editor(cluster, id, options));
  try {
    await run(editors, cluster);
  } finally {
    for (const editor of editors) editor[Symbol.dispose]();
  }
}

Deno.test("awareness: each state, its changes and its removal reach all members, which know its owner", () =>
  editing(3, async (editors, cluster) => {
    const [a, b, c] = editors as [Editor, Editor, Editor];
    for (const editor of editors) editor.set(editor.id.toUpperCase());
    await cluster.runUntil(() => editors.every((each) => each.seen(editors) === "a=A,b=B,c=C"));
    assertEquals(a.shared.memberOf(b.client), "b");
    assertEquals(a.shared.memberOf(a.client), "a");
    assertEquals(a.shared.memberOf(1), undefined);
    b.set("Ben");
    await cluster.runUntil(() => a.seen([b]) === "b=Ben" && c.seen([b]) === "b=Ben");
    assertEquals(a.changes.at(-1)?.updated, [b.client]);
    b.awareness.setLocalState(null);
    await cluster.runUntil(() => a.seen(editors) === "a=A,c=C" && c.seen(editors) === "a=A,c=C");
    assertEquals(a.changes.at(-1)?.removed, [b.client]);
    b.awareness.setLocalState({ name: "back" });
    await cluster.runUntil(() => a.seen([b]) === "b=back");
    assertEquals(a.errors, []);
  }));

Deno.test("awareness: the empty state of a new awareness is seen, although its clock is 0 in Yjs", () =>
  editing(2, async ([a, b], cluster) => {
    await cluster.runUntil(() => a!.awareness.getStates().has(b!.client));
    assertEquals(a!.awareness.getStates().get(b!.client), {});
    assertEquals(a!.changes.filter(({ added }) => added.includes(b!.client)).length, 1);
  }));

Deno.test("awareness: the states of a member are removed when it leaves, crashes or falls silent", () =>
  editing(3, async ([a, b, c], cluster) => {
    b!.set("B");
    c!.set("C");
    await cluster.runUntil(() => a!.seen([b!, c!]) === "b=B,c=C");
    const statusAt: string[] = [];
    a!.awareness.on("change", ({ removed }: Change) => {
      for (const { id, client } of [b!, c!]) {
        if (removed.includes(client)) {
          const { members } = cluster.of("a").gossiper;
          statusAt.push(`${id} ${members.find((each) => each.id === id)!.status}`);
        }
      }
    });
    await cluster.stop("b");
    assertEquals(a!.seen([b!, c!]), "c=C");
    cluster.network.pause(memoryAddress("c", 1));
    cluster.network.cut(memoryAddress("a", 1), memoryAddress("c", 1));
    const elapsedMs = await cluster.runUntil(() => a!.seen([c!]) === "");
    assert(elapsedMs <= CONFIG.heartbeatExpiration + 500, `${elapsedMs}`);
    assertEquals(statusAt, ["b left", "c failed"]);
  }));

Deno.test("awareness: the state of a member that returns is shown again, although it was not set again", () =>
  editing(2, async ([a, b], cluster) => {
    b!.set("B");
    await cluster.runUntil(() => a!.seen([b!]) === "b=B");
    const { sets } = b!;
    cluster.network.cut(memoryAddress("a", 1), memoryAddress("b", 1));
    await cluster.runUntil(() => a!.seen([b!]) === "");
    assertEquals(a!.shared.memberOf(b!.client), undefined);
    cluster.network.heal();
    await cluster.runUntil(() => a!.seen([b!]) === "b=B");
    assertEquals([b!.sets, a!.changes.at(-1)?.added], [sets, [b!.client]]);
  }));

Deno.test("awareness: sends at most `maxPerSecond` changes in a second, and always the last change", () =>
  editing(2, async ([a, b], cluster) => {
    await cluster.advance(1_000);
    const { sets } = b!;
    for (let move = 0; move < 950; move++) {
      b!.set(`${move}`);
      await cluster.advance(1);
    }
    assertEquals(b!.sets - sets, 10);
    await cluster.runUntil(() => a!.seen([b!]) === "b=949", { withinMs: 200 });
    assertEquals(b!.sets - sets, 11);
  }, { maxPerSecond: 10 }));

Deno.test("awareness: a change after a pause is sent at once", () =>
  editing(1, async ([a], cluster) => {
    await cluster.advance(1_000);
    const { sets } = a!;
    a!.set("A");
    assertEquals(a!.sets - sets, 1);
  }));

Deno.test("awareness: sends nothing while it is idle, and its states outlive the limit of Yjs", () =>
  editing(2, async ([a, b], cluster) => {
    b!.set("B");
    await cluster.runUntil(() => a!.seen([b!]) === "b=B");
    const { sets } = b!;
    // As Yjs does every 15 seconds.
    b!.awareness.setLocalState(b!.awareness.getLocalState());
    await cluster.advance(20_000);
    assertEquals(b!.sets, sets);
    const { clock, lastUpdated } = a!.awareness.meta.get(b!.client)!;
    await cluster.advance(10_000);
    const later = a!.awareness.meta.get(b!.client)!;
    assertEquals([later.clock, later.lastUpdated - lastUpdated], [clock, 10_000]);
    // The next change has a higher clock than all before, and is applied.
    b!.set("Ben");
    await cluster.runUntil(() => a!.seen([b!]) === "b=Ben");
  }));

Deno.test("awareness: a state that Yjs found too old, after a suspension, is restored if its member is alive", () =>
  editing(2, async ([a, b], cluster) => {
    b!.set("B");
    await cluster.runUntil(() => a!.seen([b!]) === "b=B");
    protocol.removeAwarenessStates(a!.awareness, [b!.client], ORIGIN_OF_YJS);
    assertEquals(a!.seen([b!]), "");
    await Promise.resolve();
    assertEquals(a!.seen([b!]), "b=B");
  }));

Deno.test("awareness: an older state never replaces a newer state that came another way", () =>
  editing(2, async ([a, b], cluster) => {
    b!.set("B");
    await cluster.runUntil(() => a!.seen([b!]) === "b=B");
    b!.shared[Symbol.dispose]();
    await cluster.runUntil(() => a!.seen([b!]) === "");
    const { clock } = b!.awareness.meta.get(b!.client)!;
    b!.set("by another provider");
    protocol.applyAwarenessUpdate(
      a!.awareness,
      protocol.encodeAwarenessUpdate(b!.awareness, [b!.client]),
      "other",
    );
    cluster.of("b").gossiper.setState("awareness", { clientId: b!.client, clock, state: { name: "old" } });
    await cluster.advance(1_000);
    assertEquals(a!.seen([b!]), "b=by another provider");
  }));

Deno.test("awareness: a member can change neither the state of another member's client nor that of the receiver", () =>
  editing(3, async ([a, b, c], cluster) => {
    for (const editor of [a!, b!]) editor.set(editor.id);
    await cluster.runUntil(() => a!.seen([a!, b!]) === "a=a,b=b" && c!.seen([a!, b!]) === "a=a,b=b");
    c!.shared[Symbol.dispose]();
    const claim = (editor: Editor) =>
      cluster.of("c").gossiper.setState("awareness", {
        clientId: editor.client,
        clock: 1_000,
        state: { name: "false" },
      });
    claim(a!);
    await cluster.advance(1_000);
    assertEquals([a!.seen([a!]), b!.seen([a!])], ["a=a", "a=a"]);
    claim(b!);
    await cluster.advance(1_000);
    assertEquals(a!.seen([b!]), "b=b");
    cluster.of("c").gossiper.deleteState("awareness");
    await cluster.advance(1_000);
    assertEquals(a!.seen([b!]), "b=b");
    // The client is free once its member is gone.
    claim(b!);
    await cluster.advance(1_000);
    await cluster.stop("b");
    assertEquals([a!.seen([b!]), a!.shared.memberOf(b!.client)], ["b=false", "c"]);
  }));

Deno.test("awareness: a state that is too large is not sent, other members keep the former state, and one error reports it", () =>
  editing(2, async ([a, b], cluster) => {
    b!.set("B");
    await cluster.runUntil(() => a!.seen([b!]) === "b=B");
    for (const length of [300, 301]) {
      b!.set("x".repeat(length));
      await cluster.advance(1_000);
    }
    assertEquals(a!.seen([b!]), "b=B");
    assertEquals(b!.errors.length, 1);
    assertMatch(
      b!.errors[0]!,
      /must have at most 256 bytes \(`maxBytes`\) as JSON; it has 311\. Others go on seeing/,
    );
    b!.set("Ben");
    await cluster.runUntil(() => a!.seen([b!]) === "b=Ben");
    b!.set("x".repeat(300));
    await cluster.advance(1_000);
    assertEquals(b!.errors.length, 2);
  }, { maxBytes: 256 }));

Deno.test("awareness: the default limit is 16 KiB, and the first state can be too large", () =>
  editing(1, async ([a], cluster) => {
    const { gossiper } = cluster.of("a");
    const errorsWith = (bytes: number) => {
      a!.shared[Symbol.dispose]();
      a!.awareness.setLocalState({ text: "x".repeat(bytes - '{"text":""}'.length) });
      const errors: unknown[] = [];
      const onError = (error: unknown) => errors.push(error);
      shareAwareness(gossiper, a!.awareness, { protocol, onError })[Symbol.dispose]();
      return errors.length;
    };
    await cluster.advance(100);
    assertEquals([errorsWith(16_384), errorsWith(16_385)], [0, 1]);
  }));

Deno.test("awareness: a listener of the program that throws is an error, and the next change is applied", () =>
  editing(2, async ([a, b], cluster) => {
    let throws = true;
    a!.awareness.on("change", (_: Change, origin: unknown) => {
      if (throws && origin !== "local") throw new Error("a fault of the program");
    });
    b!.set("B");
    await cluster.runUntil(() => a!.errors.length > 0);
    assertEquals(a!.errors[0], "a fault of the program");
    throws = false;
    b!.set("Ben");
    await cluster.runUntil(() => a!.seen([b!]) === "b=Ben");
    throws = true;
    const { length } = a!.errors;
    await cluster.stop("b");
    assertEquals([a!.seen([b!]), a!.errors.length], ["", length + 1]);
    throws = false;
  }));

Deno.test("awareness: a value of another form, or over the limit, is not shown, and one error reports it", () =>
  editing(2, async ([a, b], cluster) => {
    b!.set("B");
    await cluster.runUntil(() => a!.seen([b!]) === "b=B");
    b!.shared[Symbol.dispose]();
    const good = { clientId: b!.client, clock: 1_000, state: { name: "B" } };
    const values = [
      "text",
      null,
      { ...good, state: null },
      { ...good, clock: -1 },
      { ...good, clientId: 0.5 },
      { ...good, state: { name: "x".repeat(256) } },
    ];
    for (const value of values) {
      cluster.of("b").gossiper.setState("awareness", value);
      await cluster.advance(500);
      assertEquals(a!.awareness.getStates().size, 1, JSON.stringify(value));
    }
    assertEquals(a!.errors.length, 1);
    cluster.of("b").gossiper.setState("awareness", good);
    await cluster.runUntil(() => a!.seen([b!]) === "b=B");
    cluster.of("b").gossiper.setState("awareness", "text");
    await cluster.runUntil(() => a!.seen([b!]) === "");
    assertEquals(a!.errors.length, 2);
  }, { maxBytes: 256 }));

Deno.test("awareness: disposal removes the states of other members here, and the own state at other members; the node goes on", () =>
  editing(2, async ([a, b], cluster) => {
    for (const editor of [a!, b!]) editor.set(editor.id);
    await cluster.runUntil(() => a!.seen([b!]) === "b=b" && b!.seen([a!]) === "a=a");
    a!.set("too late");
    a!.shared[Symbol.dispose]();
    assertEquals([a!.seen([a!, b!]), a!.shared.memberOf(b!.client)], ["a=too late", undefined]);
    await cluster.runUntil(() => b!.seen([a!]) === "");
    b!.set("later");
    await cluster.advance(1_000);
    assertEquals([a!.seen([b!]), cluster.of("a").gossiper.getState("awareness").has("a")], ["", false]);
    // The key is free again.
    const again = new Editor(cluster, "a");
    await cluster.runUntil(() => again.seen([b!]) === "b=later");
    again[Symbol.dispose]();
  }));

Deno.test("awareness: sharing ends when the awareness is destroyed, and when the node stops", () =>
  editing(2, async ([a, b], cluster) => {
    for (const editor of [a!, b!]) editor.set(editor.id);
    await cluster.runUntil(() => a!.seen([b!]) === "b=b" && b!.seen([a!]) === "a=a");
    a!.doc.destroy();
    await cluster.runUntil(() => b!.seen([a!]) === "");
    const again = new Editor(cluster, "a");
    await cluster.runUntil(() => again.seen([b!]) === "b=b");
    await cluster.stop("a");
    assertEquals(again.seen([b!]), "");
    again[Symbol.dispose]();
  }));

Deno.test("awareness: two documents of one node need two keys", () =>
  editing(1, async ([a], cluster) => {
    const share = () => shareAwareness(cluster.of("a").gossiper, a!.awareness, { protocol });
    const error = assertThrows(share, HearsayError);
    assertEquals(error.code, "already_started");
    const second = new Editor(cluster, "a", { key: "awareness/2" });
    second.set("two");
    a!.set("one");
    await cluster.advance(1_000);
    const { gossiper } = cluster.of("a");
    const names = ["awareness", "awareness/2"].map((key) =>
      (gossiper.getState<{ state: { name: string } }>(key).get("a")!).value.state.name
    );
    assertEquals(names, ["one", "two"]);
    second[Symbol.dispose]();
  }));

Deno.test("awareness: every fault in the options is named, and a node that leaves is refused", async () => {
  await using cluster = await TestCluster.started(["a"], { config: CONFIG });
  const doc = new Doc();
  const awareness = new Awareness(doc);
  const { gossiper } = cluster.of("a");
  const given = {
    protocol: { applyAwarenessUpdate() {} },
    key: "",
    maxPerSecond: 1_001,
    maxBytes: 63,
    onError: 1,
    runtime: {},
    name: "x",
  };
  const error = assertThrows(
    () => shareAwareness(gossiper, awareness, given as unknown as { protocol: typeof protocol }),
    ConfigurationError,
  );
  assertEquals(
    error.problems.map(({ field }) => field.replace("options.", "")).sort(),
    Object.keys(given).sort(),
  );
  // The bounds themselves are allowed.
  for (const limits of [{ maxPerSecond: 1, maxBytes: 64 }, { maxPerSecond: 1_000, maxBytes: 1_048_576 }]) {
    shareAwareness(gossiper, awareness, { protocol, ...limits })[Symbol.dispose]();
  }
  for (const key of ["topology", "x".repeat(1_025), "\ud800"]) {
    // Twice: a key that is refused is not in use afterwards.
    for (let times = 0; times < 2; times++) {
      const refused = () => shareAwareness(gossiper, awareness, { protocol, key });
      assertEquals(assertThrows(refused, HearsayError).code, "invalid_key");
    }
  }
  await cluster.stop("a");
  assertEquals(
    assertThrows(() => shareAwareness(gossiper, awareness, { protocol }), HearsayError).code,
    "stopped",
  );
  doc.destroy();
});

Deno.test("awareness: works between two nodes over real sockets", async () => {
  await using one = await join({ cluster: "editors", listen: { port: 0 } });
  await using two = await join({ cluster: "editors", listen: { port: 0 }, seeds: [one.address] });
  const [mine, yours] = [new Awareness(new Doc()), new Awareness(new Doc())];
  using _mine = shareAwareness(one, mine, { protocol });
  using _yours = shareAwareness(two, yours, { protocol });
  const arrived = Promise.withResolvers<void>();
  yours.on("change", () => {
    if (yours.getStates().get(mine.clientID)?.name === "Ada") arrived.resolve();
  });
  mine.setLocalState({ name: "Ada" });
  await arrived.promise;
  mine.destroy();
  yours.destroy();
});
