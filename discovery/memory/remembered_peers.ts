/**
 * The peers that a memory keeps, and their text in its file.
 *
 * @module
 */

import { canonicalAddress } from "../../common/canonical_address.ts";
import { inRandomOrder } from "../../common/random_order.ts";
import { isDialable, type Member } from "../../contracts/cluster.ts";
import type { JsonValue } from "../../engine/types.ts";
import { utf8Length } from "../../engine/json.ts";
import { readMember } from "../member_record.ts";
import { MAX_FILE_BYTES, unusable } from "./peer_file.ts";

const FORMAT = "hearsay-peers";
const VERSION = 1;
/** The most peers of a file; `maxPeers` may not be higher. */
export const MAX_PEERS = 1_024;

/** A peer, and the time at which it was last active. */
export interface RememberedPeer {
  /** The peer's record, without its kinds. */
  readonly member: Member;
  /** By this machine's wall clock, in milliseconds since the Unix epoch. */
  readonly seenUnixMilliseconds: number;
}

/** The contents of a file. */
export interface Contents {
  readonly id: string;
  readonly peers: readonly RememberedPeer[];
}

/** Limits of {@linkcode RememberedPeers}. */
export interface PeerLimits {
  readonly maxPeers: number;
  /** In milliseconds. */
  readonly maxAge: number;
}

/** A bounded set of peers: at most one for each id and each address. */
export class RememberedPeers {
  readonly #limits: PeerLimits;
  /** The peers by the time of their last activity, the oldest first. */
  readonly #peers = new Map<string, RememberedPeer>();
  /** The id of the peer at each place. */
  readonly #idAt = new Map<string, string>();

  constructor(limits: PeerLimits) {
    this.#limits = limits;
  }

  /** Adds the peers of a file, the latest first, up to the limits. */
  load(peers: readonly RememberedPeer[], nowMs: number): void {
    const { maxPeers, maxAge } = this.#limits;
    // A clock that was ahead when the file was written must not keep a peer forever.
    const timed = peers.map((peer) => ({
      ...peer,
      seenUnixMilliseconds: Math.min(peer.seenUnixMilliseconds, nowMs),
    })).filter(({ seenUnixMilliseconds }) => nowMs - seenUnixMilliseconds <= maxAge);
    const latest = timed.sort((one, other) => other.seenUnixMilliseconds - one.seenUnixMilliseconds)
      .slice(0, maxPeers);
    for (const peer of latest.reverse()) this.#put(peer);
  }

  /**
   * Notes that these members are active. Peers that are kept already stay, so that the file of a large cluster seldom
   * changes. Others fill the room at random, so that members keep different peers.
   */
  see(
    active: readonly Member[],
    { nowMs, random }: { readonly nowMs: number; readonly random: () => number },
  ): void {
    const dialable = active.filter(isDialable);
    const activeIds = new Set(dialable.map(({ id }) => id));
    for (const [id, { seenUnixMilliseconds }] of this.#peers) {
      if (!activeIds.has(id) && nowMs - seenUnixMilliseconds > this.#limits.maxAge) this.#drop(id);
    }
    for (const member of dialable) {
      if (this.#peers.has(member.id)) this.#put({ member, seenUnixMilliseconds: nowMs });
    }
    const unknown = dialable.filter(({ id }) => !this.#peers.has(id));
    for (const member of inRandomOrder(unknown, random)) {
      if (this.#peers.size >= this.#limits.maxPeers && !this.#dropLongestGone(activeIds)) return;
      this.#put({ member, seenUnixMilliseconds: nowMs });
    }
  }

  /** The peers, the last active first. */
  get list(): readonly RememberedPeer[] {
    return [...this.#peers.values()].reverse();
  }

  /** Equal texts mean equal peers at equal addresses. */
  get summary(): string {
    return JSON.stringify(
      [...this.#peers.values()].map(({ member: { id, host, port, url } }) => [id, host, port, url]).sort(),
    );
  }

  #put(peer: RememberedPeer): void {
    const { id } = peer.member;
    const place = placeOf(peer.member);
    // A process that restarts under a new id leaves a record of its former id behind.
    this.#drop(this.#idAt.get(place));
    this.#drop(id);
    this.#peers.set(id, peer);
    this.#idAt.set(place, id);
  }

  #drop(id: string | undefined): void {
    const peer = this.#peers.get(id ?? "");
    if (peer === undefined) return;
    this.#peers.delete(peer.member.id);
    this.#idAt.delete(placeOf(peer.member));
  }

  #dropLongestGone(activeIds: ReadonlySet<string>): boolean {
    const gone = this.#peers.keys().find((id) => !activeIds.has(id));
    this.#drop(gone);
    return gone !== undefined;
  }
}

/** Equal texts mean the same server. */
function placeOf({ host, port, url }: Member): string {
  return url === undefined ? `${host.toLowerCase()}:${port}` : canonicalAddress(url);
}

/** The text of a file. If all peers together are too large, leaves out the peers that were active longest ago. */
export function textOf({ id, peers }: Contents, cluster: string): string {
  const lines: string[] = [];
  const head = JSON.stringify({ format: FORMAT, version: VERSION, cluster, id }).slice(0, -1);
  let bytes = utf8Length(head) + `,"peers":[\n\n]}\n`.length;
  for (const { member: { kinds: _, ...record }, seenUnixMilliseconds } of peers) {
    const line = JSON.stringify({ ...record, seenUnixMilliseconds });
    bytes += utf8Length(line) + ",\n".length;
    if (bytes > MAX_FILE_BYTES) break;
    lines.push(line);
  }
  return `${head},"peers":[\n${lines.join(",\n")}\n]}\n`;
}

/**
 * Reads the text of a file.
 *
 * @throws {HearsayError} with code `invalid_value` if it is damaged, or has another format, version or cluster.
 */
export function contentsOf(text: string, cluster: string): Contents {
  const { format, version, ...file } = parsed(text);
  if (format !== FORMAT) throw unusable("have the peers of a member", "it has something else");
  if (version !== VERSION) {
    throw unusable(`have version ${VERSION}`, "another version of this library wrote it");
  }
  if (file.cluster !== cluster) {
    throw unusable(
      `have the peers of the cluster ${JSON.stringify(cluster)}`,
      "it has those of another cluster",
    );
  }
  // This member's own id must follow the rules of any id, so it is read as part of a record.
  const id = readMember({ id: file.id ?? null, host: "localhost", port: 1 })?.id;
  const { peers } = file;
  if (id === undefined || !Array.isArray(peers) || peers.length > MAX_PEERS) throw damaged();
  return { id, peers: peers.map(peerOf) };
}

function parsed(text: string): Readonly<Record<string, JsonValue | undefined>> {
  try {
    // `null` has no fields either.
    return Object(JSON.parse(text));
  } catch (cause) {
    throw damaged({ cause });
  }
}

function peerOf(value: JsonValue): RememberedPeer {
  const { seenUnixMilliseconds, kinds: _, ...record } = Object(value) as Record<string, JsonValue>;
  const member = readMember(record);
  if (member === undefined || !isDialable(member) || !Number.isSafeInteger(seenUnixMilliseconds)) {
    throw damaged();
  }
  return { member, seenUnixMilliseconds: seenUnixMilliseconds as number };
}

function damaged(options: ErrorOptions = {}) {
  return unusable("have the text that this library wrote", "it is damaged", "invalid_value", options);
}
