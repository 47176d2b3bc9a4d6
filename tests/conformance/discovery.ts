/**
 * The tests that every source of members must pass with running members.
 *
 * @module
 */

import { assert, assertEquals } from "../../deps/std_assert.ts";
import { type Discovery, type HearsayEvent, join, type Node } from "../../mod.ts";
import { freePort } from "../process/ports.ts";

/** The longest time of any step before a test fails, in milliseconds. */
const BOUND_MS = 15_000;
const CONFIG = {
  gossipInterval: 50,
  gossipRequestTimeout: 1_000,
  blockedProbeInterval: 200,
  maxBackoff: 200,
};

/** One member of a test: its id and its port. */
export interface Place {
  readonly id: string;
  readonly port: number;
}

/** A source shared by some members. */
export interface World extends AsyncDisposable {
  /** The discovery of a member before its join. */
  discoveryFor(place: Place): Discovery | Promise<Discovery>;
  /** Makes the source unreachable; only for a source with a server. */
  readonly down?: () => void | Promise<void>;
  /** Makes the source reachable again. */
  readonly up?: () => void | Promise<void>;
}

/** Options of {@linkcode discoveryContract}. */
export interface ContractOptions {
  /** Makes the source; the members of a test will be at some of these places. */
  readonly makeWorld: (places: readonly Place[]) => Promise<World>;
  /** True if the source has later members from the start; false by default. */
  readonly isFixed?: boolean;
  /** True if the source has a server, which can be down. */
  readonly canBeDown: boolean;
  /** The reason why it cannot be tested here. */
  readonly without?: string | undefined;
}

/** Registers the tests for one source. */
export function discoveryContract(
  name: string,
  { makeWorld, isFixed = false, canBeDown, without }: ContractOptions,
): void {
  const test = (title: string, run: (members: Members) => Promise<void>) => {
    Deno.test({
      name: `${name}: ${title}${without === undefined ? "" : ` (skipped: ${without})`}`,
      ignore: without !== undefined,
      async fn() {
        const places = ["a", "b", "c"].map((id) => ({ id, port: freePort() }));
        await using world = await makeWorld(places);
        await using members = new Members(world, places);
        await run(members);
      },
    });
  };

  test("members that join at the same time find each other", async (members) => {
    await Promise.all(["a", "b", "c"].map((id) => members.join(id)));
    await members.untilAllKnow("a", "b", "c");
    await members.untilNewsCrosses();
  });

  test("a member that leaves in order is removed, and may come back", async (members) => {
    for (const id of ["a", "b", "c"]) await members.join(id);
    await members.untilAllKnow("a", "b", "c");
    await members.stop("b");
    await members.untilAllKnow("a", "c");
    await members.join("b");
    await members.untilAllKnow("a", "b", "c");
    await members.untilNewsCrosses();
  });

  test("members report consensus once the last of them has the value, and not before", async (members) => {
    for (const id of ["a", "b", "c"]) await members.join(id);
    await members.untilAllKnow("a", "b", "c");
    const node = members.node("a");
    const check = node.registerConsensusCheck("k", (value) => value);
    for (const id of ["a", "b"]) members.node(id).setState("k", 1);
    await members.until(() => node.getState("k").size === 2);
    assertEquals(check.dissenters(), ["c"]);
    members.node("c").setState("k", 1);
    assertEquals(await check.reached({ signal: AbortSignal.timeout(BOUND_MS) }), 1);
  });

  if (isFixed) return;

  test("a member that joins later is found", async (members) => {
    for (const id of ["a", "b"]) await members.join(id);
    await members.untilAllKnow("a", "b");
    await members.join("c");
    await members.untilAllKnow("a", "b", "c");
    await members.untilNewsCrosses();
  });

  if (!canBeDown) return;

  test("a source that is down at first emits an event, and its members are found later", async (members) => {
    await members.down();
    await members.join("a");
    await members.join("b");
    await members.untilTold("a");
    await members.up();
    await members.untilAllKnow("a", "b");
  });

  test("a source that goes down later removes no member and delays no state", async (members) => {
    for (const id of ["a", "b"]) await members.join(id);
    await members.untilAllKnow("a", "b");
    await members.untilNewsCrosses();
    await members.down();
    await members.untilTold("a");
    members.node("a").setState("while down", true);
    await members.until(() => members.node("b").getState("while down").get("a")?.value === true);
    assertEquals(members.active("a"), ["a", "b"]);
    await members.up();
    await members.join("c");
    await members.untilAllKnow("a", "b", "c");
  });

  test("a member stops within its bounds while its source is down", async (members) => {
    await members.join("a");
    await members.down();
    await members.untilTold("a");
    const startMs = performance.now();
    await members.stop("a");
    assert(performance.now() - startMs < 3 * CONFIG.gossipRequestTimeout);
    await members.up();
  });
}

/** The members of one test. */
class Members implements AsyncDisposable {
  readonly #world: World;
  readonly #places: readonly Place[];
  readonly #nodes = new Map<string, Node>();
  readonly #events = new Map<string, HearsayEvent[]>();
  readonly #collecting: Promise<void>[] = [];

  constructor(world: World, places: readonly Place[]) {
    this.#world = world;
    this.#places = places;
  }

  node(id: string): Node {
    return this.#nodes.get(id)!;
  }

  async join(id: string): Promise<void> {
    const place = this.#places.find((place) => place.id === id)!;
    const discovery = await this.#world.discoveryFor(place);
    const node = await join({
      cluster: "orders",
      id,
      listen: { port: place.port },
      discovery,
      config: CONFIG,
    });
    this.#nodes.set(id, node);
    this.#events.set(id, []);
    this.#collecting.push(this.#collect(id, node));
  }

  async stop(id: string): Promise<void> {
    const node = this.node(id);
    this.#nodes.delete(id);
    await node.stop();
  }

  /** The active members by this member's view. */
  active(id: string): string[] {
    const { members } = this.node(id);
    return members.filter(({ status }) => status === "alive").map(({ id }) => id);
  }

  /** Waits until every member has exactly these as active members. */
  async untilAllKnow(...ids: readonly string[]): Promise<void> {
    await this.until(() => [...this.#nodes.keys()].every((id) => this.active(id).join() === ids.join()));
  }

  /** Sets a value at each member, and waits until all others have it. */
  async untilNewsCrosses(): Promise<void> {
    const news = crypto.randomUUID();
    for (const node of this.#nodes.values()) node.setState("news", news);
    await this.until(() =>
      [...this.#nodes.values()].every((node) => {
        const state = node.getState("news");
        return [...this.#nodes.keys()].every((id) => state.get(id)?.value === news);
      })
    );
  }

  /** Takes the source down, and drops earlier failure events. */
  async down(): Promise<void> {
    for (const events of this.#events.values()) events.length = 0;
    await this.#world.down?.();
  }

  async up(): Promise<void> {
    await this.#world.up?.();
  }

  /** Waits until a member has reported since then that the source does not answer. */
  async untilTold(id: string): Promise<void> {
    await this.until(() => this.#events.get(id)!.some(({ type }) => type === "DiscoveryFailed"));
  }

  async until(condition: () => boolean): Promise<void> {
    const lateAt = performance.now() + BOUND_MS;
    while (!condition()) {
      if (performance.now() > lateAt) {
        const known = [...this.#nodes.keys()].map((id) => `${id} knows ${this.active(id)}`).join("; ");
        throw new Error(`Not within ${BOUND_MS} ms: ${condition}; ${known}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#nodes.values()].map((node) => node[Symbol.asyncDispose]()));
    await Promise.all(this.#collecting);
  }

  async #collect(id: string, node: Node): Promise<void> {
    for await (const event of node.events.subscribe()) this.#events.get(id)!.push(event);
  }
}
