/**
 * The same work done by other libraries in this process, as far as they do it: none does all. They are
 * fetched from npm when this runs, and only then; without a network the part is left out.
 *
 * - `y-protocols` (Yjs' awareness): what browsers use for "who is here". A member's whole state under one
 *   clock, written as binary with JSON inside; every change sends the member's whole state, to everybody.
 * - `grapevine` (a Cassandra-like gossip for Node, last released in 2015): keys with version numbers by
 *   member, like here; every gossip begins with a digest that lists all members.
 *
 * @module
 */

import { HEARTBEAT_KEY } from "../engine/types.ts";
import type { Gossip } from "../gossiper/message.ts";
import { decode, encode } from "../transport/wire.ts";
import { measure, type Subject } from "./measure.ts";
import { duration, type Line, type Report, size } from "./report.ts";
import { deltaOf, engineOf, KEYS, memberId, memberIds, moment, settledEngine, valueOf } from "./states.ts";

/** What is used of `y-protocols`. */
interface AwarenessModule {
  Awareness: new (document: unknown) => Awareness;
  applyAwarenessUpdate(awareness: Awareness, update: Uint8Array, origin: unknown): void;
  encodeAwarenessUpdate(awareness: Awareness, clients: readonly number[]): Uint8Array;
}

interface Awareness {
  readonly states: Map<number, unknown>;
  readonly meta: Map<number, unknown>;
  destroy(): void;
}

/** What is used of `grapevine`. */
interface Scuttle {
  digest(): object;
  scuttle(digest: object): { deltas: unknown[] };
  updateKnownState(deltas: unknown[][]): void;
}

interface GrapevineModules {
  readonly Scuttle: new (peers: Record<string, object>) => Scuttle;
  readonly PeerState: new (port: number, address: string) => object;
}

/** Specifiers that are not written where they are imported are neither fetched nor locked before they are used. */
const SPECIFIERS = {
  awareness: "npm:y-protocols@1.0.7/awareness.js",
  scuttle: "npm:grapevine@1.0.6/lib/scuttle.js",
  peerState: "npm:grapevine@1.0.6/lib/peer_state.js",
};
const MEMBERS = 1_000;
const MANY = 10_000;
const LIMITS = { maxMessageBytes: 32 * 1024 * 1024 };

/** Measures what can be compared. */
export async function benchRivals(report: Report): Promise<void> {
  let awareness: AwarenessModule;
  let grapevine: GrapevineModules;
  try {
    awareness = await import(SPECIFIERS.awareness);
    const { default: Scuttle } = await import(SPECIFIERS.scuttle);
    const { default: PeerState } = await import(SPECIFIERS.peerState);
    grapevine = { Scuttle, PeerState };
  } catch (error) {
    console.log(
      `\nOther libraries were left out: ${error instanceof Error ? error.message.split("\n")[0] : error}`,
    );
    return;
  }
  await benchJoining(report, awareness);
  await benchMerging(report, grapevine);
  await benchQuiet(report, grapevine);
}

/** From bytes on the wire to state held: what a member does that has just joined. */
async function benchJoining(report: Report, module: AwarenessModule): Promise<void> {
  const gossip: Gossip = {
    type: "gossip",
    liveness: { count: 0 },
    id: "d1",
    memberId: memberId(1),
    delta: deltaOf(MEMBERS + 1),
  };
  const text = encode(gossip);
  const update = awarenessUpdate(module);
  const medians = await measure([
    {
      name: "Hearsay",
      run: () => {
        const engine = engineOf(MEMBERS + 1);
        return timed(() => {
          const message = decode(text, LIMITS);
          if (message.type === "gossip") engine.applyIncoming(message.memberId, message.delta, moment(1));
        });
      },
    },
    {
      name: "y-protocols",
      run: () => {
        const awareness = newAwareness(module);
        const ms = timed(() => module.applyAwarenessUpdate(awareness, update, undefined));
        awareness.destroy();
        return ms;
      },
    },
  ], { samples: 21 });
  const title = `Taking in a message of ${MEMBERS.toLocaleString("en")} members of ${KEYS} keys`;
  report.table(title, beside(medians, { "Hearsay": text.length, "y-protocols": update.length }));
  report.note("y-protocols keeps one clock a member, not one a key, and checks nothing of what comes in.");
}

/** From values in memory to state held. */
async function benchMerging(report: Report, { Scuttle, PeerState }: GrapevineModules): Promise<void> {
  const delta = deltaOf(MEMBERS + 1);
  const medians = await measure([
    {
      name: "Hearsay",
      run: () => {
        const engine = engineOf(MEMBERS + 1);
        return timed(() => engine.applyIncoming(memberId(1), delta, moment(1)));
      },
    },
    {
      name: "grapevine",
      run: async () => {
        const scuttle = new Scuttle(
          Object.fromEntries(memberIds(MEMBERS + 1).map((id) => [id, new PeerState(1, id)])),
        );
        const deltas = delta.members.flatMap(({ id, entries }) =>
          entries.map(({ key, value, number }) => [id, key, value, number])
        );
        const start = performance.now();
        scuttle.updateKnownState(deltas);
        // It tells each change by a `setImmediate` of its own; this one comes after all of them.
        await new Promise((resolve) => setImmediate(resolve));
        return performance.now() - start;
      },
    },
  ], { samples: 21 });
  report.table(
    `Merging ${MEMBERS.toLocaleString("en")} members of ${KEYS} keys that are all new, and telling it`,
    beside(medians),
  );
}

/** What is done for a peer that lacks nothing. */
async function benchQuiet(report: Report, { Scuttle, PeerState }: GrapevineModules): Promise<void> {
  const { engine, peerId } = settledEngine(MANY);
  const peers = Object.fromEntries(memberIds(MANY).map((id) => [id, new PeerState(1, id)]));
  const scuttle = new Scuttle(peers);
  scuttle.updateKnownState(memberIds(MANY).map((id) => [id, HEARTBEAT_KEY, 1, 1]));
  await new Promise((resolve) => setImmediate(resolve));
  const { digest, active } = engine;
  const life = engine.lifeOf(peerId)!;
  engine.greeted({ id: peerId, life, digest, active, count: 1 }, moment(2));
  let ms = 2;
  // The most that an interval costs: with the heartbeats of all, which are sent less often than gossip.
  const message = () => {
    engine.countHeartbeat({}, moment(ms += 1_000));
    const { delta, sent } = engine.disseminate(peerId);
    if (delta.members.length > 0) engine.handleAck(sent, new Map(), moment(ms));
    return encode({
      type: "gossip",
      liveness: engine.liveness(peerId, sent),
      id: "d1",
      memberId: memberId(0),
      delta,
    });
  };
  message();
  const subjects: Subject[] = [
    { name: "Hearsay", run: () => void message() },
    // The asker's digest is written, read, and held against what the other has.
    { name: "grapevine", run: () => void scuttle.scuttle(JSON.parse(JSON.stringify(scuttle.digest()))) },
  ];
  const bytes = { "Hearsay": message().length, "grapevine": JSON.stringify(scuttle.digest()).length };
  report.table(
    `A gossip with nothing to tell, ${MANY.toLocaleString("en")} members`,
    beside(await measure(subjects), bytes),
  );
}

/** Each library's time, and what it is to Hearsay's; and the same of bytes. */
function beside(medians: ReadonlyMap<string, number>, bytes: Readonly<Record<string, number>> = {}): Line[] {
  const [[base, baseMs]] = [...medians] as [[string, number]];
  return [...medians].flatMap(([name, ms]): Line[] => {
    const sent = bytes[name];
    const isBase = name === base;
    const lines: Line[] = [
      { what: name, value: duration(ms), ...(!isBase && { against: base, ratio: ms / baseMs }) },
    ];
    if (sent === undefined) return lines;
    const ratio = sent / bytes[base]!;
    return [...lines, {
      what: `${name}, bytes`,
      value: size(sent),
      ...(!isBase && { against: base, ratio }),
    }];
  });
}

function newAwareness({ Awareness }: AwarenessModule): Awareness {
  // All that it asks of a Yjs document.
  return new Awareness({ clientID: 1, on: () => {} });
}

function awarenessUpdate(module: AwarenessModule): Uint8Array {
  const awareness = newAwareness(module);
  for (let member = 0; member < MEMBERS; member++) {
    const keys = Array.from({ length: KEYS }, (_, key) => [`key-${key}`, valueOf(member, key)]);
    awareness.states.set(member + 2, Object.fromEntries(keys));
    awareness.meta.set(member + 2, { clock: 1, lastUpdated: 0 });
  }
  const update = module.encodeAwarenessUpdate(awareness, [...awareness.states.keys()]);
  awareness.destroy();
  return update;
}

function timed(action: () => void): number {
  const start = performance.now();
  action();
  return performance.now() - start;
}
