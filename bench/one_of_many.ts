/**
 * Cost of one member of a large cluster per round while nothing changes. Its engine, its messages and the engine of one
 * peer are real. All other members exist only as state and as counts, which reach the peer between two rounds.
 *
 * @module
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Engine } from "../engine/engine.ts";
import { copyJson } from "../engine/json.ts";
import { DEFAULT_CONFIG } from "../options/configuration.ts";
import { decode, encode } from "../protocol/codec.ts";
import { duration, type Report, size } from "./report.ts";
import { deltaOf, engineOf, KEYS, LIFE, memberId, memberState, moment, valueOf } from "./states.ts";

const SIZES = [10, 100, 1_000, 10_000] as const;
const WARM_UP_ROUNDS = 20;
const ROUNDS = 60;
const LIMITS = { maxMessageBytes: DEFAULT_CONFIG.maxMessageBytes };
const ACTORS = { order: 3 };

/** Measures one member for each size. */
export function benchOneOfMany(report: Report): Promise<void> {
  for (const members of SIZES) {
    console.error(`  … one of ${members.toLocaleString("en")} members`);
    const { heapBytes, cpuMs, bytes } = costOfOne(members);
    const rounds = 1000 / DEFAULT_CONFIG.gossipInterval;
    report.table(`One idle engine among ${members.toLocaleString("en")} members of ${KEYS} keys`, [
      { what: "memory", value: size(heapBytes) },
      { what: "processor time a round, codec included", value: duration(cpuMs) },
      { what: "processor time a minute", value: duration(cpuMs * rounds * 60) },
      { what: "bytes sent a round", value: size(bytes) },
      { what: "bytes sent a second", value: size(bytes * rounds) },
    ]);
  }
  return Promise.resolve();
}

function costOfOne(members: number): { heapBytes: number; cpuMs: number; bytes: number } {
  const heapBefore = heapBytes();
  const measured = holder(members, 0);
  const heapAfter = heapBytes();
  const peer = holder(members, 1);
  const [selfId, peerId] = [memberId(0), memberId(1)];
  measured.applyIncoming(peerId, { members: [memberState(1)], ...NO_DIGESTS }, moment(1));
  peer.applyIncoming(selfId, { members: [memberState(0)], ...NO_DIGESTS }, moment(1));
  const greeting = ({ view: { digest, activeHash: active } }: Engine, id: string) => ({
    id,
    incarnation: LIFE,
    digest,
    active,
    count: 1,
  });
  measured.applyHello(greeting(peer, peerId), moment(2));
  peer.applyHello(greeting(measured, selfId), moment(2));
  let [cpuMs, bytes] = [0, 0];
  for (let round = 1; round <= WARM_UP_ROUNDS + ROUNDS; round++) {
    if (round === WARM_UP_ROUNDS + 1) cpuMs = bytes = 0;
    const now = moment(round * DEFAULT_CONFIG.gossipInterval);
    // More counts than a real peer would receive in one round.
    for (let index = 2; index < members; index++) peer.applyCount(memberId(index), round, now);
    peer.countHeartbeat(ACTORS, now);
    peer.tick(now);
    const received = encode({ type: "heartbeat", liveness: peer.takeLiveness(selfId) });
    const start = performance.now();
    measured.countHeartbeat(ACTORS, now);
    measured.tick(now);
    bytes += encode({ type: "heartbeat", liveness: measured.takeLiveness(peerId) }).length;
    const message = decode(received, LIMITS);
    if (message.type !== "heartbeat") throw new Error(`Expected a heartbeat; got ${message.type}.`);
    measured.applyLiveness(peer.view, message.liveness, now);
    cpuMs += performance.now() - start;
  }
  return { heapBytes: heapAfter - heapBefore, cpuMs: cpuMs / ROUNDS, bytes: bytes / ROUNDS };
}

/** The engine of a member with the state of all members. */
function holder(members: number, index: number): Engine {
  const engine = engineOf(members, { index });
  const states = deltaOf(members).members.map((state) => ({ ...state, count: 1 }));
  engine.applyIncoming(memberId(members - 1), { members: states, ...NO_DIGESTS }, moment(1));
  for (let key = 1; key < KEYS; key++) engine.set(`key-${key}`, copyJson(valueOf(index, key)), moment(1));
  return engine;
}

const NO_DIGESTS = { digest: "0".repeat(16), active: "0".repeat(16), partial: true };

function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return Deno.memoryUsage().heapUsed;
}
