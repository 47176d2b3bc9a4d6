import { assert, assertEquals } from "../../deps/std_assert.ts";
import type { DiscoveryContext, Member } from "../../contracts/cluster.ts";
import { EventStream } from "../../contracts/event_stream.ts";
import { LostMembers, MAX_LOST } from "../../discovery/lost_members.ts";
import type { BlockReason } from "../../engine/types.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { memberOf } from "./context.ts";

const DAY_MS = 24 * 3_600_000;

interface Options {
  /** The number of active members, this one included; 1 by default. */
  readonly active?: number;
  readonly blockedProbeInterval?: number;
  readonly dialed?: readonly string[];
}

/** The lost members of member `a` at port 1, without a gossiper. All dials fail. */
class Harness implements AsyncDisposable {
  readonly runtime = new VirtualRuntime();
  readonly events = new EventStream();
  readonly dials: string[] = [];
  readonly active: Set<string>;
  readonly #records = new Map<string, Member>();
  readonly #ending = new AbortController();
  readonly #following: Promise<void>;

  constructor({ active = 1, blockedProbeInterval = 60_000, dialed = [] }: Options = {}) {
    const self = memberOf("a", 1);
    this.active = new Set([self.id, ...Array.from({ length: active - 1 }, (_, at) => `other${at}`)]);
    const addressOf = ({ port }: Member) => `ws://127.0.0.1:${port}`;
    const context = {
      self,
      runtime: this.runtime,
      eventStream: this.events,
      blockedProbeInterval,
      activeIds: () => this.active,
      addressOf,
      handshake: (address: string) => {
        this.dials.push(address);
        return Promise.reject(new Error("no"));
      },
    } as unknown as DiscoveryContext;
    const lost = new LostMembers(context, {
      members: {
        recordOf: (id) => this.#records.get(id),
        idAt: (address) => [...this.#records.values()].find((record) => addressOf(record) === address)?.id,
      },
      dialed: new Map(dialed.map((address) => [address, true])),
    });
    this.#following = lost.follow(this.#ending);
  }

  async block(id: string, port: number, reason: BlockReason): Promise<void> {
    this.#records.set(id, memberOf(id, port));
    this.events.publish({ type: "MemberBlocked", memberId: id, reason });
    await this.runtime.settle();
  }

  /** As a gossiper: the record is dropped before the event. */
  async forget(id: string, reason?: BlockReason): Promise<void> {
    this.#records.delete(id);
    this.events.publish({ type: "MemberForgotten", memberId: id, ...(reason && { reason }) });
    await this.runtime.settle();
  }

  async lose(id: string, port: number, reason: BlockReason = "expired"): Promise<void> {
    await this.block(id, port, reason);
    await this.forget(id, reason);
  }

  meet(id: string, port: number): void {
    this.#records.set(id, memberOf(id, port));
    this.active.add(id);
  }

  get ports(): number[] {
    return [...new Set(this.dials)].map((address) => Number(new URL(address).port)).sort((a, b) => a - b);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#following;
    this.events.close();
    assertEquals(this.runtime.timers, 0);
  }
}

Deno.test("LostMembers: dials members that failed and were forgotten, and no others (E11)", async () => {
  await using harness = new Harness({ dialed: ["ws://127.0.0.1:10"] });
  await harness.lose("expired", 2, "expired");
  await harness.lose("crashed", 3, "crashed");
  await harness.lose("left", 4, "left");
  await harness.lose("by hand", 5, "topology");
  await harness.block("blocked by hand later", 6, "expired");
  await harness.forget("blocked by hand later", "topology");
  await harness.block("only blocked", 7, "expired");
  await harness.block("back", 8, "expired");
  harness.events.publish({ type: "MemberUnblocked", memberId: "back" });
  await harness.forget("back");
  await harness.lose("no address", 0);
  await harness.lose("this process before its restart", 1);
  await harness.lose("a seed", 10);
  await harness.runtime.advance(10 * 60_000);
  assertEquals(harness.ports, [2, 3]);
});

Deno.test("LostMembers: stops once a member is active at the address, and after seven days", async () => {
  await using harness = new Harness();
  await harness.lose("b", 2);
  await harness.lose("c", 3);
  harness.meet("b.2", 2);
  await harness.runtime.advance(10 * 60_000);
  assertEquals(harness.ports, [3]);
  harness.dials.length = 0;
  await harness.runtime.advance(7 * DAY_MS);
  const { length } = harness.dials;
  assert(length > 10_000, `${length} dials`);
  await harness.runtime.advance(DAY_MS);
  assertEquals(harness.dials.length, length);
  await harness.lose("d", 4);
  await harness.runtime.advance(60_000);
  assertEquals(harness.ports, [3, 4]);
});

Deno.test("LostMembers: keeps a bounded number of addresses, the newest", async () => {
  await using harness = new Harness();
  for (let port = 7_000; port < 7_000 + 2 * MAX_LOST; port++) await harness.lose(`m${port}`, port);
  await harness.runtime.advance(60 * 60_000);
  assertEquals(harness.ports, Array.from({ length: MAX_LOST }, (_, at) => 7_000 + MAX_LOST + at));
});

Deno.test("LostMembers: a member dials one address in a turn, a lone one up to eight, and one in a large island seldom", async () => {
  for (const [active, least, most] of [[1, 8, 8], [2, 1, 1], [800, 0, 0.05]] as const) {
    await using harness = new Harness({ active });
    for (let port = 2; port < 40; port++) await harness.lose(`m${port}`, port);
    const hours = 5;
    await harness.runtime.advance(hours * 60 * 60_000);
    // A turn lasts 22.5 s on average.
    const perTurn = harness.dials.length / (hours * 3_600 / 22.5);
    assert(perTurn >= 0.9 * least && perTurn <= 1.1 * most, `${active} active: ${perTurn} dials in a turn`);
  }
});

Deno.test("LostMembers: dials nothing if `blockedProbeInterval` is `Infinity`", async () => {
  await using harness = new Harness({ blockedProbeInterval: Infinity });
  await harness.lose("b", 2);
  await harness.runtime.advance(60 * 60_000);
  assertEquals(harness.dials, []);
});
