/**
 * Members with roles, on an in-memory network and a virtual clock; and a member whose view the test writes.
 *
 * @module
 */

import { EventStream } from "../../contracts/event_stream.ts";
import { seeds } from "../../discovery/seeds.ts";
import type { GossipUpdate } from "../../engine/events.ts";
import type { GossipKeyValue, MemberView } from "../../gossiper/contract.ts";
import type { Leader, LeaderAnswer, RoleNode, RoleOptions } from "../../roles/mod.ts";
import { leader } from "../../roles/mod.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { recordOf, type TestCluster, type TestMember } from "../requirements/harness.ts";

/** The time without a change before the members of these tests agree, in milliseconds. */
export const SETTLE = 1_000;

/** Starts a member that finds the others by the seeds `a` and `b`. */
export async function startMember(
  cluster: TestCluster,
  id: string,
  kinds: readonly string[] = [],
): Promise<TestMember> {
  const member = cluster.make(id, {
    cluster: {
      self: { ...recordOf(id), kinds },
      discovery: seeds([memoryAddress("a", 1), memoryAddress("b", 1)]),
    },
  });
  await member.gossiper.start();
  return member;
}

/** A leader of a member, with every answer and its time. */
export interface Followed {
  readonly role: Leader;
  readonly answers: { readonly atMs: number; readonly now: LeaderAnswer }[];
}

/** Begins a role at a member, and records its answers. */
export function follow(
  cluster: TestCluster,
  { gossiper, runtime }: TestMember,
  options: Partial<RoleOptions> = {},
): Followed {
  const role = leader(gossiper, { atLeast: 2, settle: SETTLE, runtime, ...options });
  const answers: Followed["answers"][number][] = [];
  void (async () => {
    for await (const now of role.watch()) answers.push({ atMs: cluster.runtime.monotonicMs(), now });
  })();
  return { role, answers };
}

/** Members with a role each. */
export async function withLeader(
  cluster: TestCluster,
  ids: readonly string[],
  options: Partial<RoleOptions> = {},
): Promise<Map<string, Followed>> {
  const followed = new Map<string, Followed>();
  for (const id of ids) followed.set(id, follow(cluster, await startMember(cluster, id), options));
  return followed;
}

/** The leader that all of these know under one epoch; `undefined` if they do not. */
export function agreedLeader(followed: Iterable<Followed>): string | undefined {
  const known = [...followed].map(({ role: { current } }) =>
    current.state === "known" ? `${current.leader} ${current.epoch}` : ""
  );
  return known.length > 0 && new Set(known).size === 1 && known[0] !== ""
    ? known[0]!.split(" ")[0]
    : undefined;
}

/** The states of answers, as `leader epoch` or the reason. */
export function textsOf({ answers }: Followed): string[] {
  return answers.map(({ now }) => now.state === "known" ? `${now.leader} ${now.epoch}` : now.reason);
}

/** A member whose view of the cluster the test writes. */
export class ScriptedNode implements RoleNode {
  readonly id = "self";
  readonly events = new EventStream();
  readonly runtime = new VirtualRuntime();
  readonly reports = new Map<string, unknown>();
  /** How often its members were read. */
  reads = 0;
  readonly #leaving = new AbortController();
  readonly #streams = new Set<ReadableStreamDefaultController>();
  /** The ids of the other members that are alive, with their statuses. */
  readonly others = new Map<string, MemberView["status"]>();
  readonly incarnations = new Map<string, string>();
  readonly kinds = new Map<string, readonly string[]>();
  /** The times since the last heartbeats, in milliseconds. */
  readonly ages = new Map<string, number>();
  status: MemberView["status"] = "alive";
  isolated = false;
  /** The error of each `setState`. */
  refuses: Error | undefined;

  get signal(): AbortSignal {
    return this.#leaving.signal;
  }

  get members(): readonly MemberView[] {
    this.reads++;
    const all: [string, MemberView["status"]][] = [...this.others, [this.id, this.status]];
    return all.sort(([one], [other]) => one < other ? -1 : 1).map(([id, status]) => ({
      id,
      member: { ...recordOf(id), kinds: this.kinds.get(id) ?? [] },
      status,
      block: undefined,
      incarnation: this.incarnations.get(id) ?? "1",
      isSelf: id === this.id,
    }));
  }

  getState<T>(_key: string): Map<string, GossipKeyValue<T>> {
    return new Map([...this.reports].map(([id, value]) => [id, { value: value as T, ...NUMBERS }]));
  }

  setState(_key: string, value: unknown): void {
    if (this.refuses) throw this.refuses;
    this.reports.set(this.id, value);
  }

  deleteState(_key: string): boolean {
    return this.reports.delete(this.id);
  }

  watch<T>(_key: string, options: { readonly signal?: AbortSignal } = {}): ReadableStream<GossipUpdate<T>> {
    return this.#stream(options);
  }

  watchMembers(options: { readonly signal?: AbortSignal } = {}): ReadableStream<MemberView> {
    return this.#stream(options);
  }

  explain(memberId: string) {
    const ageMilliseconds = this.ages.get(memberId) ?? 0;
    return { heartbeat: { count: 1, ageMilliseconds, peerId: null } };
  }

  snapshot(): { readonly isolated: boolean } {
    return { isolated: this.isolated };
  }

  /** This member's own report. */
  get own(): { readonly epoch: number; readonly view: string } {
    return this.reports.get(this.id) as { epoch: number; view: string };
  }

  /** The number of open watches. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Emits that something changed. */
  emitChange(): void {
    for (const stream of this.#streams) stream.enqueue({});
  }

  /** Emits that something changed, and lets its followers take it in. */
  async changed(): Promise<void> {
    this.emitChange();
    await this.runtime.settle();
    await this.runtime.advance(0);
  }

  /** Begins to leave. */
  leave(): void {
    this.#leaving.abort();
  }

  #stream<T>({ signal }: { readonly signal?: AbortSignal }): ReadableStream<T> {
    return new ReadableStream<T>({
      start: (controller) => {
        this.#streams.add(controller as ReadableStreamDefaultController);
        signal?.addEventListener("abort", () => {
          this.#streams.delete(controller as ReadableStreamDefaultController);
          controller.close();
        }, { once: true });
      },
    });
  }
}

const NUMBERS = { sequenceNumber: 1, localTimestampUnixMilliseconds: 0 };
