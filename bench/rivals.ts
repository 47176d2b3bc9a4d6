/**
 * Comparable work of other libraries in this process; none of them does all that Hearsay does. They are downloaded from
 * npm only when this part runs. Without a network the part is left out.
 *
 * - `y-protocols` (awareness of Yjs): presence in browsers. A member's full state has one clock and is encoded as binary
 *   with JSON inside. Every change sends that full state to all members.
 * - `grapevine` (Cassandra-like gossip for Node, last released in 2015): keys with version numbers by member. Every
 *   gossip begins with a digest that lists all members.
 *
 * @module
 */

import { HEARTBEAT_KEY } from "../engine/types.ts";
import type { Gossip } from "../protocol/message.ts";
import { decode, encode } from "../protocol/codec.ts";
import { measure, type Subject } from "./measure.ts";
import { duration, type Line, type Report, size } from "./report.ts";
import { deltaOf, engineOf, KEYS, memberId, memberIds, moment, settledEngine, valueOf } from "./states.ts";

/** The used part of `y-protocols`. */
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

/** The used part of `grapevine`. */
interface Scuttle {
  digest(): object;
  scuttle(digest: object): { deltas: unknown[] };
  updateKnownState(deltas: unknown[][]): void;
}

interface GrapevineModules {
  readonly Scuttle: new (peers: Record<string, object>) => Scuttle;
  readonly PeerState: new (port: number, address: string) => object;
}

/** In an object, because a literal specifier in `import()` would be downloaded and locked in advance. */
const SPECIFIERS = {
  awareness: "npm:y-protocols@1.0.7/awareness.js",
  scuttle: "npm:grapevine@1.0.6/lib/scuttle.js",
  peerState: "npm:grapevine@1.0.6/lib/peer_state.js",
};
const MEMBERS = 1_000;
const MANY = 10_000;
const LIMITS = { maxMessageBytes: 32 * 1024 * 1024 };

/** Measures all comparable operations. */
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
      `\nThe part with other libraries was left out: ${
        error instanceof Error ? error.message.split("\n")[0] : error
      }`,
    );
    return;
  }
  await benchJoining(report, awareness);
  await benchMerging(report, grapevine);
  await benchQuiet(report, grapevine);
}

/** From bytes on the wire to merged state: the work of a member that has just joined. */
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
  const title = `Decoding and merging a message with ${MEMBERS.toLocaleString("en")} members of ${KEYS} keys`;
  report.table(title, beside(medians, { "Hearsay": text.length, "y-protocols": update.length }));
  report.note("y-protocols has one clock per member, not per key, and does not check its input.");
}

/** From values in memory to merged state. */
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
        // grapevine emits each change in its own `setImmediate`; this one runs after all of them.
        await new Promise((resolve) => setImmediate(resolve));
        return performance.now() - start;
      },
    },
  ], { samples: 21 });
  report.table(
    `Merging ${MEMBERS.toLocaleString("en")} members of ${KEYS} new keys, with events`,
    beside(medians),
  );
}

/** The work for a peer that is up to date. */
async function benchQuiet(report: Report, { Scuttle, PeerState }: GrapevineModules): Promise<void> {
  const { engine, peerId } = settledEngine(MANY);
  const peers = Object.fromEntries(memberIds(MANY).map((id) => [id, new PeerState(1, id)]));
  const scuttle = new Scuttle(peers);
  scuttle.updateKnownState(memberIds(MANY).map((id) => [id, HEARTBEAT_KEY, 1, 1]));
  await new Promise((resolve) => setImmediate(resolve));
  const { digest, activeHash: active } = engine.view;
  const incarnation = engine.view.incarnationOf(peerId)!;
  engine.applyHello({ id: peerId, incarnation, digest, active, count: 1 }, moment(2));
  let ms = 2;
  // The most expensive case: with the counts of all members, which are sent less often than gossip.
  const message = () => {
    engine.countHeartbeat({}, moment(ms += 1_000));
    const { delta, sent } = engine.disseminate(peerId);
    if (delta.members.length > 0) engine.handleAck(sent, new Map(), moment(ms));
    return encode({
      type: "gossip",
      liveness: engine.takeLiveness(peerId, sent),
      id: "d1",
      memberId: memberId(0),
      delta,
    });
  };
  message();
  const subjects: Subject[] = [
    { name: "Hearsay", run: () => void message() },
    // The requester's digest is encoded, decoded and compared with the state.
    { name: "grapevine", run: () => void scuttle.scuttle(JSON.parse(JSON.stringify(scuttle.digest()))) },
  ];
  const bytes = { "Hearsay": message().length, "grapevine": JSON.stringify(scuttle.digest()).length };
  report.table(
    `A gossip without new entries, ${MANY.toLocaleString("en")} members`,
    beside(await measure(subjects), bytes),
  );
}

/** Lines with the time and bytes of each library, and their ratios to Hearsay's. */
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
  // The only fields of a Yjs document that it reads.
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
