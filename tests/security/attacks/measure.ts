/**
 * Measures how fast updates spread among honest members, with and without an attack.
 *
 * @module
 */

import { type HearsayEvent, join, type Node } from "../../../mod.ts";
import type { RoomSnapshot } from "../../../node/mod.ts";
import { newClusterKey } from "../../../security/cluster_keys.ts";
import { Program } from "../../process/program.ts";
import type { AttackerOptions } from "./attacker_process.ts";

/** The attacks, in the order of the table. */
export const ATTACKS = [
  "no token",
  "a token of another key",
  "an expired token",
  "a token that was used",
  "a token for another cluster",
  "a token for another member",
  "a member that lies about others",
  "a member that lies about itself",
  "a member that lies about acknowledgements",
  "a member that never answers",
  "a slow upgrade",
  "a slow hello",
  "slow frames",
  "messages that are too large",
  "a flood of connections",
  "a flood of messages",
  "a flood of pings",

  "idle sockets",
  "many valid tokens",
  "aborted upgrades",
  "pipelined wrong tokens",
  "a message that never ends",
] as const;

/** Attacks on memory. They mostly cost the time to parse and verify, so no test bounds their figures. */
export const HOARDING_ATTACKS = ["large states of many ids", "invented members"] as const;

/** The default settings divided by three, so that a run is shorter. */
export const CONFIG = {
  gossipInterval: 100,
  gossipRequestTimeout: 167,
  heartbeatExpiration: 6_667,
  maxBackoff: 1_667,
};
/** Updates per measurement. */
const NEWS = 60;

/** Milliseconds from a set until all other honest members have the value. */
export interface Spread {
  readonly meanMs: number;
  readonly p90Ms: number;
  /** The attacker's tries. */
  readonly tries: number;
}

/** Three honest members that sign, and an attacker. */
export class Siege implements AsyncDisposable {
  readonly #nodes: readonly Node[];
  readonly #key: string;
  #value = 0;

  private constructor(nodes: readonly Node[], key: string) {
    this.#nodes = nodes;
    this.#key = key;
  }

  static async begin(): Promise<Siege> {
    const key = await newClusterKey();
    const options = {
      cluster: "orders",
      listen: { port: 0 },
      config: CONFIG,
      authentication: { keys: [key], sign: true },
    };
    const first = await join(options);
    const others = await Promise.all([1, 2].map(() => join({ ...options, seeds: [first.address] })));
    const siege = new Siege([first, ...others], key);
    await siege.#spread();
    return siege;
  }

  /** Measures without an attack. */
  async peace({ news = NEWS } = {}): Promise<Spread> {
    return { ...await this.#measure(news), tries: 0 };
  }

  /** Measures under an attack. */
  async under(attack: string, { news = NEWS } = {}): Promise<Spread> {
    const options: AttackerOptions = {
      attack,
      targets: this.#nodes.map(({ address }) => address),
      key: this.#key,
    };
    await using attacker = new Program({
      args: [
        "run",
        "--no-prompt",
        "--no-check",
        "--allow-net=127.0.0.1",
        "tests/security/attacks/attacker_process.ts",
        JSON.stringify(options),
      ],
    });
    await attacker.until(/^ready$/);
    // The attack needs a moment to reach its full rate.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const measured = await this.#measure(news);
    await attacker.end();
    const [, tries] = await attacker.until(/^tries (\d+)$/);
    return { ...measured, tries: Number(tries) };
  }

  /** Calls the listener with every event of the members. */
  onEvent(listener: (id: string, event: HearsayEvent) => void): void {
    for (const node of this.#nodes) {
      void (async () => {
        for await (const event of node.events.subscribe()) listener(node.id, event);
      })();
    }
  }

  /** The ids of honest members that another honest member has blocked. */
  blocked(): string[] {
    const honest = new Set(this.#nodes.map(({ member }) => member.id));
    return this.#nodes.flatMap((node) => node.blockedMembers.map(({ id }) => id)).filter((id) =>
      honest.has(id)
    );
  }

  /** How much each holds of the others. */
  rooms(): readonly RoomSnapshot[] {
    return this.#nodes.map((node) => node.snapshot().room);
  }

  /** Values of honest members' key `k` that no honest member has set. */
  lies(): unknown[] {
    const honest = new Set(this.#nodes.map(({ member }) => member.id));
    return this.#nodes.flatMap((node) =>
      [...node.getState("k")].filter(([id]) => honest.has(id)).map(([, { value }]) => value)
    ).filter((value) => typeof value !== "number");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.stop()));
  }

  async #measure(news: number): Promise<Omit<Spread, "tries">> {
    const times: number[] = [];
    for (let count = 0; count < news; count++) {
      // A set at a random moment of the round.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * CONFIG.gossipInterval));
      times.push(await this.#spread());
    }
    times.sort((one, other) => one - other);
    return { meanMs: times.reduce((sum, ms) => sum + ms, 0) / news, p90Ms: times[Math.floor(news * 0.9)]! };
  }

  /** Sets a value at one member and resolves when the others have it. */
  async #spread(): Promise<number> {
    const value = ++this.#value;
    const owner = this.#nodes[value % this.#nodes.length]!;
    const startMs = performance.now();
    const signal = AbortSignal.timeout(20_000);
    const heard = this.#nodes.filter((node) => node !== owner).map(async (node) => {
      for await (const update of node.watch("k", { signal })) {
        if (update.memberId === owner.member.id && update.value === value) return;
      }
      throw new Error(`${value} did not spread within 20 s.`);
    });
    owner.setState("k", value);
    await Promise.all(heard);
    return performance.now() - startMs;
  }
}
