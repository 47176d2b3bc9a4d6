/**
 * A cluster of engines under random faults. The network loses, repeats, delays and reorders; processes crash,
 * leave, stall and return; clocks are set back; views of the topology differ. All of it follows from one
 * seed.
 *
 * @module
 */

import { Engine, type EngineSettings, type Sent, type WithEvents } from "../../engine/engine.ts";
import type { EngineEvent } from "../../engine/events.ts";
import { copyJson } from "../../engine/json.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import { Random } from "../../engine/random.ts";
import type {
  BlockReason,
  Delta,
  Incarnation,
  Instant,
  KnownVersions,
  Liveness,
  PartialDelta,
  SignedState,
  SummaryPart,
} from "../../engine/types.ts";
import { CHECK_ID, CHECKED_KEY, Oracle, type Process, View } from "./chaos_oracle.ts";
import { WALL_START_MS } from "./harness.ts";

const INTERVAL_MS = 100;
const TIMEOUT_MS = 100;
/** So few bytes that a member's messages do not always have room for all. */
const SMALLEST_MESSAGE = 16_384;
/** The most intervals until all members hear a count, through vectors, and where each sends its own. */
const LEAST_INTERVALS = { vectors: 8, signed: 40 };
/** The delay in milliseconds between a change and its push. */
const COLLECT_MS = 2;
/** The number of peers for a push of another member's change. */
const RELAYS = 2;
/**
 * The most expirations after which a late liveness message still arrives; see {@linkcode World}'s
 * `#hearLiveness`.
 */
const LATEST_LIVENESS = 1;

/** A process, with the memory of its gossiper. */
export interface Node extends Process {
  readonly settings: EngineSettings;
  readonly wallOffsetMs: number;
  readonly monotonicOffsetMs: number;
  /** Connections by the peer's id. */
  readonly connections: Map<string, Connection>;
  nextRoundMs: number;
  /** The time of the next push; `Infinity` without collected changes. */
  nextPushMs: number;
  isLeaving: boolean;
  hasLeft: boolean;
  lastMembers: ReadonlySet<string>;
}

/** Two processes with a handshake, done or under way. */
interface Connection {
  readonly ends: readonly [Node, Node];
  readonly told: Map<Node, Incarnation>;
  isOpen: boolean;
}

interface Message {
  readonly what: () => string;
  readonly from: Node;
  readonly to: Node;
  readonly connection: Connection;
  /** True if it still counts when the connection is over. */
  readonly isTimeless: boolean;
  readonly deliver: () => void;
  atMs: number;
}

interface Hello {
  readonly id: string;
  readonly incarnation: Incarnation;
  readonly digest: string;
  readonly active: string;
  readonly count: number;
  readonly sentMs: number;
}

/** The possible faults, drawn once for each seed. */
interface Faults {
  loss: number;
  repeat: number;
  delay: number;
  /** The probability of a fault between two steps. */
  trouble: number;
}

/** A cluster under random faults. */
export class World {
  readonly oracle: Oracle;
  readonly trace: (() => string)[] = [];
  readonly nodes: Node[] = [];
  #nowMs = 0;
  #messages: Message[] = [];
  #sides = new Map<string, number>();
  #members: Set<string>;
  #blocked = new Set<string>();
  #topologies: { readonly node: Node; readonly atMs: number; members: string[]; blocked: string[] }[] = [];
  #faults: Faults;
  #calls = 0;
  readonly #random: Random;
  readonly #settings: EngineSettings;
  readonly #openMembership: boolean;
  readonly #ackFirst: boolean;
  readonly #takesStrangers: boolean;
  readonly #restartsBack: boolean;
  readonly #signed: boolean;
  /** True if changes are pushed between the rounds. */
  readonly #pushes: boolean;
  /**
   * A random source of its own, so that a seed gives the same trace with and without signatures, as far as
   * possible.
   */
  readonly #chanceOfSigning: Random;

  constructor(seed: number, options: { readonly signed?: boolean } = {}) {
    this.#signed = options.signed ?? false;
    this.#chanceOfSigning = new Random(seed / 2 ** 33);
    this.#random = new Random(seed / 2 ** 32);
    for (let each = 0; each < 8; each++) this.#random.next();
    const size = 2 + Math.floor(this.#random.next() * 11);
    const gossipMaxSend = this.#pick([1, 2, 3, 50]);
    const leastExpiration = INTERVAL_MS * LEAST_INTERVALS[this.#signed ? "signed" : "vectors"];
    const heartbeatExpiration = Math.max(this.#pick([500, 1_000, 3_000]), leastExpiration);
    this.#settings = {
      gossipInterval: INTERVAL_MS,
      gossipRequestTimeout: TIMEOUT_MS,
      gossipMaxSend,
      heartbeatExpiration,
      blockedProbeInterval: this.#pick([100, 500, 2_000]),
      tombstoneRetention: this.#pick([100, 700, 100_000]),
      departedRetention: heartbeatExpiration * this.#pick([1, 2, 10]),
      maxMessageBytes: this.#pick([SMALLEST_MESSAGE, 1_048_576]),
      maxMembers: 1_000,
      maxKeysPerMember: 4_096,
      maxStateBytes: 2 ** 23,
      maxHeldBytes: 2 ** 28,
    };
    this.oracle = new Oracle({ cutsDeltas: this.#settings.maxMessageBytes === SMALLEST_MESSAGE });
    this.#openMembership = this.#chance(0.5);
    this.#ackFirst = this.#chance(0.5);
    this.#takesStrangers = this.#chance(0.5);
    this.#restartsBack = this.#chance(0.5);
    this.#pushes = this.#chance(0.5);
    this.#faults = {
      loss: this.#pick([0, 0.1, 0.3]),
      repeat: this.#pick([0, 0.1]),
      delay: this.#pick([5, 60, 300]),
      trouble: this.#pick([0.01, 0.03, 0.1]),
    };
    this.#members = new Set(Array.from({ length: size }, (_, index) => `m${index}`));
    for (const id of this.#members) this.#begin(id);
  }

  /** The running processes. */
  get alive(): Node[] {
    return this.nodes.filter((node) => node.isAlive);
  }

  /** The description of this world in an error. */
  get setting(): string {
    const { openMembership, pushes } = { openMembership: this.#openMembership, pushes: this.#pushes };
    return JSON.stringify({ ...this.#settings, ...this.#faults, openMembership, pushes });
  }

  /** Runs with faults for this time. */
  rage(forMs: number): void {
    this.#runUntil(this.#nowMs + forMs, () => {
      if (this.#chance(this.#faults.trouble)) this.#trouble();
    });
  }

  /** Ends all faults; every process gets the one topology. */
  calm(): void {
    this.#faults = { loss: 0, repeat: 0, delay: 5, trouble: 0 };
    this.#sides.clear();
    this.#blocked.clear();
    // Messages still under way arrive soon.
    for (const message of this.#messages) {
      message.atMs = Math.min(message.atMs, this.#nowMs + 5 * INTERVAL_MS);
    }
    for (const node of this.alive) if (node.isLeaving || node.engine.view.isFenced) this.#end(node);
    if (this.alive.length === 0) this.#begin("late");
    // The dead may still be listed: they expire.
    for (const id of [...this.#members]) {
      if (!this.current(id) && this.#chance(0.5)) this.#members.delete(id);
    }
    for (const { id } of this.alive) this.#members.add(id);
    this.#note(() => "calm");
    for (const node of this.alive) {
      node.nextRoundMs = Math.min(node.nextRoundMs, this.#nowMs + INTERVAL_MS);
      this.#topologies = this.#topologies.filter((each) => each.node !== node);
      this.#tellTopology(node, { members: [...this.#members], blocked: [] });
    }
  }

  /** Advances time without faults. */
  rest(forMs: number): void {
    this.#runUntil(this.#nowMs + forMs, () => {});
  }

  /** The longest time until convergence. */
  get recoveryMs(): number {
    const { heartbeatExpiration, blockedProbeInterval, gossipMaxSend } = this.#settings;
    const spread = Math.ceil(2 * this.#members.size / gossipMaxSend) * 6 + 30;
    // An old heartbeat that comes by a longer way may free the dead once more.
    return 2 * heartbeatExpiration + 2 * blockedProbeInterval + spread * INTERVAL_MS;
  }

  /** The running process with this id. */
  current(id: string): Node | undefined {
    return this.nodes.findLast((node) => node.id === id && node.isAlive);
  }

  // ---- time

  #runUntil(endMs: number, between: () => void): void {
    while (this.#nowMs < endMs) {
      this.#step(endMs);
      between();
    }
  }

  #step(endMs: number): void {
    let atMs = endMs;
    let act = () => {};
    for (const node of this.alive) {
      if (node.nextRoundMs < atMs) [atMs, act] = [node.nextRoundMs, () => this.#round(node)];
      if (node.nextPushMs < atMs) [atMs, act] = [node.nextPushMs, () => this.#push(node)];
    }
    for (const message of this.#messages) {
      if (message.atMs < atMs) [atMs, act] = [message.atMs, () => this.#deliver(message)];
    }
    for (const told of this.#topologies) {
      if (told.atMs < atMs) [atMs, act] = [told.atMs, () => this.#hearTopology(told)];
    }
    this.#nowMs = Math.max(this.#nowMs, atMs);
    act();
  }

  #now(node: Node): Instant {
    return {
      monotonicMs: this.#nowMs + node.monotonicOffsetMs,
      wallMs: WALL_START_MS + this.#nowMs + node.wallOffsetMs,
    };
  }

  // ---- processes

  #begin(id: string): Node {
    const monotonicOffsetMs = Math.floor(this.#random.next() * 1e6);
    const hours = this.#restartsBack && this.#chance(0.5) ? Math.floor(this.#random.next() * 10) : 0;
    const wallOffsetMs = Math.floor(this.#random.next() * 1_000) - hours * 3_600_000;
    const now = {
      monotonicMs: this.#nowMs + monotonicOffsetMs,
      wallMs: WALL_START_MS + this.#nowMs + wallOffsetMs,
    };
    const incarnation = makeIncarnation(now.wallMs, this.#random.next());
    const random = this.#random.next();
    const openMembership = this.#openMembership;
    const node: Node = {
      id,
      engine: new Engine(this.#settings, {
        id,
        incarnation,
        now,
        random,
        openMembership,
        signs: this.#signed,
      }),
      heartbeatExpiration: this.#settings.heartbeatExpiration,
      openMembership,
      view: new View(),
      settings: this.#settings,
      wallOffsetMs,
      monotonicOffsetMs,
      connections: new Map(),
      nextRoundMs: this.#nowMs + Math.floor(this.#random.next() * INTERVAL_MS),
      nextPushMs: Infinity,
      isAlive: true,
      isLeaving: false,
      hasLeft: false,
      lastMembers: new Set(),
    };
    this.nodes.push(node);
    this.#note(() => `${id} begins in ${incarnation}`);
    node.engine.observeHeartbeats(true);
    this.#do(node, () => node.engine.addCheck(CHECK_ID, CHECKED_KEY, (value) => JSON.stringify(value)));
    this.#tellTopology(node, { members: [...this.#members], blocked: [...this.#blocked] });
    return node;
  }

  #end(node: Node): void {
    this.#note(() => `${node.id} ends`);
    node.isAlive = false;
    for (const connection of [...node.connections.values()]) this.#close(connection);
  }

  #close(connection: Connection): void {
    connection.isOpen = false;
    for (const end of connection.ends) {
      for (const [id, each] of end.connections) if (each === connection) end.connections.delete(id);
    }
  }

  /** Calls an engine, and checks all invariants. */
  #do<T>(node: Node, call: () => WithEvents<T>): WithEvents<T> {
    this.#calls++;
    const caused = call();
    this.#noteEvents(node, caused.events);
    this.oracle.witness(node, caused.events, this.#now(node));
    this.oracle.check(node, this.nodes);
    if (this.#pushes && node.engine.view.hasChanges) {
      node.nextPushMs = Math.min(node.nextPushMs, this.#nowMs + COLLECT_MS);
    }
    return caused;
  }

  #round(node: Node): void {
    const { engine } = node;
    node.nextRoundMs = this.#nowMs + INTERVAL_MS;
    this.#do(node, () => engine.countHeartbeat({}, this.#now(node)));
    this.#do(node, () => engine.tick(this.#now(node)));
    this.#sign(node);
    if (engine.view.isFenced) return;
    for (const id of engine.takeDueProbes(this.#now(node))) this.#greet(node, id, () => {});
    const peers = this.#shuffled(engine.view.activePeers());
    const fanOut = node.isLeaving ? 3 : 1 + Math.floor(this.#random.next() * 3);
    for (const id of peers.slice(0, fanOut)) this.#gossip(node, id);
    if (node.isLeaving && this.#chance(0.4)) this.#end(node);
  }

  // ---- messages

  #send(
    connection: Connection,
    message: { from: Node; to: Node; what: () => string; isTimeless?: boolean; deliver: () => void },
  ): void {
    const { from, to } = message;
    if (!this.#isLinked(from, to) || this.#chance(this.#faults.loss)) {
      this.#note(() => `${from.id} → ${to.id} ${message.what()} is lost`);
      return;
    }
    const slow = this.#chance(0.1) ? 20 : 1;
    const atMs = this.#nowMs + 1 + Math.floor(this.#random.next() * this.#faults.delay * slow);
    this.#messages.push({ isTimeless: false, connection, ...message, atMs });
  }

  #deliver(message: Message): void {
    if (this.#chance(this.#faults.repeat)) {
      message.atMs = this.#nowMs + 1 + Math.floor(this.#random.next() * 500);
    } else this.#messages.splice(this.#messages.indexOf(message), 1);
    const { from, to, connection, what } = message;
    if (!to.isAlive || !(connection.isOpen || message.isTimeless)) return;
    this.#note(() => `${from.id} → ${to.id} ${what()}`);
    message.deliver();
  }

  #isLinked(one: Node, other: Node): boolean {
    return (this.#sides.get(one.id) ?? 0) === (this.#sides.get(other.id) ?? 0);
  }

  #helloOf({ id, engine }: Node): Hello {
    const count = engine.view.heartbeatOf(id)?.number ?? 0;
    const { incarnation, digest, active } = engine.view;
    return { id, incarnation, digest, active, count, sentMs: this.#nowMs };
  }

  /** Sends a handshake to the process with this id, and calls `then` after the answer. */
  #greet(a: Node, id: string, then: (connection: Connection) => void): void {
    const b = this.current(id);
    if (!b || b === a || b.engine.view.isFenced) return;
    const connection: Connection = {
      ends: [a, b],
      told: new Map([[a, a.engine.view.incarnation]]),
      isOpen: true,
    };
    const hello = this.#helloOf(a);
    this.#send(connection, {
      from: a,
      to: b,
      what: () => `hello ${hello.incarnation}`,
      deliver: () => {
        if (!this.#heedHello(b, a, connection, hello)) return;
        connection.told.set(b, b.engine.view.incarnation);
        const answer = this.#helloOf(b);
        this.#send(connection, {
          from: b,
          to: a,
          what: () => `hello back ${answer.incarnation}`,
          deliver: () => {
            if (this.#heedHello(a, b, connection, answer)) then(connection);
          },
        });
      },
    });
  }

  #heedHello(node: Node, peer: Node, connection: Connection, sent: Hello): boolean {
    const hello = this.#isInTime(sent) ? sent : { ...sent, count: 0 };
    const { refusal } = this.#do(node, () => {
      // Before the call: it may already confirm. A refused process is not the one that was met before.
      const before = node.view.greeted.get(peer.id);
      if (before !== peer) node.view.print = undefined;
      node.view.greeted.set(peer.id, peer);
      const provable = node.engine.view.signedProof(peer.id)?.incarnation;
      const caused = node.engine.applyHello(hello, this.#now(node));
      // A topology may block a member whose handshake was believed.
      const isBelieved = !caused.refusal || caused.refusal === "blocked";
      if (this.#signed && isBelieved) this.oracle.believed(node, hello, provable);
      if (!caused.refusal) node.view.hasMetAnyone = true;
      else if (before) node.view.greeted.set(peer.id, before);
      else node.view.greeted.delete(peer.id);
      return caused;
    });
    if (refusal) {
      if (refusal !== "invalid") this.#refuse(connection, node, peer);
      return false;
    }
    // The later of two connections to one id stays. If its process has died since, it is over at once.
    const before = node.connections.get(peer.id);
    if (before && before !== connection) this.#close(before);
    if (!peer.isAlive) return false;
    node.connections.set(peer.id, connection);
    return true;
  }

  #refuse(connection: Connection, from: Node, to: Node): void {
    const reason: BlockReason | undefined = from.engine.view.blockedMember(to.id)?.reason;
    const proof = this.#signed ? from.engine.view.signedProof(to.id) : undefined;
    const incarnation = this.#signed ? proof?.incarnation : from.engine.view.latestIncarnation(to.id);
    this.#send(connection, {
      from,
      to,
      what: () => `refused ${reason ?? "id_conflict"} ${incarnation}`,
      deliver: () => {
        const before = to.engine.view.incarnation;
        if (reason !== undefined) this.#do(to, () => to.engine.onBlockedBy(from.id, reason));
        if (proof) this.#verify(to, from, unstamped({ members: [proof] }));
        const how = { isSigned: this.#signed };
        if (incarnation !== undefined) {
          this.#do(to, () => to.engine.reportedIncarnation(incarnation, this.#now(to), how));
        }
        if (reason === "expired" || to.engine.view.incarnation !== before) this.#greet(to, from.id, () => {});
      },
    });
  }

  #gossip(a: Node, id: string): void {
    const connection = a.connections.get(id);
    if (!connection || connection.told.get(a) !== a.engine.view.incarnation) {
      return this.#greet(a, id, (greeted) => this.#request(a, greeted));
    }
    if (a.engine.view.isQuiet(id) && !a.engine.view.isSilent(id)) return this.#sendHeartbeat(a, connection);
    this.#request(a, connection);
  }

  /** Sends a heartbeat in place of gossip. It has no answer. */
  #sendHeartbeat(a: Node, connection: Connection): void {
    const b = otherEnd(connection, a);
    const liveness = this.#livenessOf(connection, a);
    const sentMs = this.#nowMs;
    this.#send(connection, {
      from: a,
      to: b,
      what: () => `heartbeat ${showLiveness(liveness)}`,
      deliver: () => {
        if (!this.#takesFrom(b, a)) return;
        this.#hearLiveness(connection, b, { liveness, sentMs });
      },
    });
  }

  /**
   * The liveness of a process's message, without a count of an incarnation other than that of this
   * connection's handshake.
   */
  #livenessOf(connection: Connection, node: Node): Liveness {
    const liveness = node.engine.takeLiveness(otherEnd(connection, node).id);
    return connection.told.get(node) === node.engine.view.incarnation ? liveness : { ...liveness, count: 0 };
  }

  #takesFrom(node: Node, peer: Node): boolean {
    const { engine } = node;
    if (engine.view.isFenced || engine.view.blockedMember(peer.id)) return false;
    return this.#takesStrangers || engine.view.isMember(peer.id);
  }

  /**
   * Applies liveness. A count belongs to the incarnation of this connection's handshake. A digit is valid for
   * the time of half of its values, 32 twelfths of an expiration: a connection that delays a message for
   * nearly as long has timed out.
   */
  #hearLiveness(
    connection: Connection,
    node: Node,
    sent: { readonly liveness: Liveness; readonly sentMs: number },
  ): void {
    const peer = otherEnd(connection, node);
    if (node.connections.get(peer.id) !== connection) return;
    if (!this.#isInTime(sent)) return;
    this.#do(node, () => node.engine.applyLiveness(peer.id, sent.liveness, this.#now(node)));
  }

  #isInTime({ sentMs }: { readonly sentMs: number }): boolean {
    return this.#nowMs - sentMs <= LATEST_LIVENESS * this.#settings.heartbeatExpiration;
  }

  /** Pushes changes without an answer, as the gossiper does. */
  #push(node: Node): void {
    node.nextPushMs = Infinity;
    const { engine } = node;
    this.#sign(node);
    const { own, others } = engine.takeChanges();
    const peers = [...node.connections.values()].filter((connection) =>
      engine.view.activeIds().has(otherEnd(connection, node).id)
    );
    const isAll = peers.length === engine.view.activePeers().length;
    if (own) { for (const peer of peers) this.#pushTo(node, peer, { ids: [node.id], relay: !isAll }); }
    if (others.size === 0) return;
    for (const peer of this.#shuffled(peers).slice(0, RELAYS)) {
      this.#pushTo(node, peer, { ids: others, relay: true });
    }
  }

  #pushTo(
    node: Node,
    connection: Connection,
    { ids, relay }: { readonly ids: Iterable<string>; readonly relay: boolean },
  ): void {
    const peer = otherEnd(connection, node);
    if (connection.told.get(node) !== node.engine.view.incarnation) return;
    const { delta } = this.#do(node, () => node.engine.push(peer.id, ids));
    if (delta.members.length === 0) return;
    const pushed = unstamped(delta);
    this.#send(connection, {
      from: node,
      to: peer,
      what: () => `push ${showMembers(delta)}${relay ? " to relay" : ""}`,
      deliver: () => {
        if (!this.#takesFrom(peer, node)) return;
        this.#verify(peer, node, pushed);
        this.#do(
          peer,
          () => peer.engine.applyPush(node.id, { delta: pushed, relay }, this.#now(peer)),
        );
      },
    });
  }

  #request(a: Node, connection: Connection): void {
    const b = otherEnd(connection, a);
    if (!a.engine.view.activeIds().has(b.id)) return;
    this.#sign(a);
    const { delta, sent, holds: asked } = this.#do(a, () => a.engine.prepareGossip(b.id));
    const request = unstamped(delta);
    const liveness = this.#livenessOf(connection, a);
    const sentMs = this.#nowMs;
    this.#send(connection, {
      from: a,
      to: b,
      what: () => `gossip ${describe(delta)} ${showLiveness(liveness)}`,
      deliver: () => {
        if (b.engine.view.isFenced) return;
        if (b.engine.view.blockedMember(a.id)) return this.#refuse(connection, b, a);
        if (this.#signed && b.engine.view.isOutlived(a.id)) return this.#refuse(connection, b, a);
        if (!this.#takesStrangers && !b.engine.view.isMember(a.id)) return;
        this.#verify(b, a, request);
        const { holds } = this.#do(b, () => b.engine.applyIncoming(a.id, request, this.#now(b)));
        // First the state: the counts belong to its incarnations.
        this.#hearLiveness(connection, b, { liveness, sentMs });
        const back = this.#do(b, () => b.engine.disseminate(a.id, { holds, asked }));
        const reply = {
          ...{ a, b, sent, holds, delta: unstamped(back.delta), replySent: back.sent },
          ...{ liveness: this.#livenessOf(connection, b), sentMs: this.#nowMs },
        };
        this.#send(connection, {
          from: b,
          to: a,
          what: () => `reply ${describe(back.delta)} ${showHolds(holds)} ${showLiveness(reply.liveness)}`,
          deliver: () => this.#takeReply(connection, reply),
        });
      },
    });
  }

  #takeReply(
    connection: Connection,
    reply: {
      a: Node;
      b: Node;
      sent: Sent;
      holds: KnownVersions;
      delta: Delta;
      replySent: Sent;
      liveness: Liveness;
      sentMs: number;
    },
  ): void {
    const { a, b, sent, holds, delta, replySent } = reply;
    if (a.engine.view.isFenced || a.engine.view.blockedMember(b.id)) return;
    const acknowledge = () => void this.#do(a, () => a.engine.handleAck(sent, holds, this.#now(a)));
    if (this.#ackFirst) acknowledge();
    this.#verify(a, b, delta);
    const taken = this.#do(a, () => a.engine.applyIncoming(b.id, delta, this.#now(a)));
    this.#hearLiveness(connection, a, reply);
    if (!this.#ackFirst) acknowledge();
    this.#send(connection, {
      from: a,
      to: b,
      what: () => `ack ${showHolds(taken.holds)}`,
      isTimeless: true,
      deliver: () => void this.#do(b, () => b.engine.handleAck(replySent, taken.holds, this.#now(b))),
    });
    const { parts } = this.#do(a, () => a.engine.requestReconcile(b.id));
    if (parts.length > 0) this.#compare(connection, { a, b, parts });
  }

  #compare(connection: Connection, how: { a: Node; b: Node; parts: readonly SummaryPart[] }): void {
    const { a, b, parts } = how;
    let answered = 0;
    const giveUpMs = this.#nowMs + TIMEOUT_MS;
    const send = (index: number) =>
      this.#send(connection, {
        from: a,
        to: b,
        what: () => `reconcile ${index + 1}/${parts.length}`,
        deliver: () => {
          const isRefused = b.engine.view.blockedMember(a.id) ||
            this.#signed && b.engine.view.isOutlived(a.id);
          if (isRefused) return this.#refuse(connection, b, a);
          const { part } = this.#do(b, () => b.engine.answerReconcile(a.id, parts[index]!));
          if (!part) throw new Error(`${b.id} compared no more for ${a.id}, which keeps to the protocol.`);
          const last = index === parts.length - 1;
          this.#send(connection, {
            from: b,
            to: a,
            what: () => `reconciled ${index + 1}/${parts.length}`,
            deliver: () => {
              if (index !== answered || this.#nowMs > giveUpMs) return;
              answered++;
              this.#do(a, () => a.engine.applyReconcile(b.id, part, { last }));
              if (!last) send(index + 1);
            },
          });
        },
      });
    send(0);
    // A timer, as a message to oneself.
    this.#messages.push({
      what: () => "gives up comparing",
      from: a,
      to: a,
      connection,
      isTimeless: true,
      atMs: giveUpMs + 1,
      deliver: () => {
        if (answered < parts.length) this.#do(a, () => a.engine.abandonReconcile(b.id));
      },
    });
  }

  // ---- signatures

  /** Signs a member's new state. At times that takes a while, during which more may be set. */
  #sign(node: Node): void {
    const draft = this.#signed ? node.engine.view.unsignedSnapshot() : undefined;
    if (!draft) return;
    const certify = () =>
      void this.#do(node, () => node.engine.attachSignature(draft, signatureOf(draft.state)));
    if (this.#chanceOfSigning.next() < 0.7) return certify();
    this.#messages.push({
      what: () => "has signed",
      from: node,
      to: node,
      connection: { ends: [node, node], told: new Map(), isOpen: true },
      isTimeless: true,
      atMs: this.#nowMs + 1 + Math.floor(this.#chanceOfSigning.next() * 100),
      deliver: certify,
    });
  }

  /** Checks that all state to be merged is signed by its owner, whichever way it came. */
  #verify(node: Node, from: Node, delta: PartialDelta): void {
    if (!this.#signed || node.engine.view.isFenced) return;
    for (const told of delta.members) {
      const claim = node.engine.view.signedStateOf(told);
      if (!claim || told.signature === signatureOf(claim)) continue;
      throw new Error(`${from.id} sends ${node.id} state of ${told.id} without its signature`);
    }
  }

  // ---- trouble

  #trouble(): void {
    const node = this.#pick(this.alive);
    if (!node) return void this.#begin(`n${this.nodes.length}`);
    const act = this.#pick<() => void>([
      ...Array.from({ length: 12 }, () => () => this.#change(node)),
      () => this.#partition(),
      () => this.#partition(),
      () => this.#sides.clear(),
      () => this.#sides.clear(),
      () => this.#crash(node),
      () => this.#leave(node),
      () => void (node.nextRoundMs = this.#nowMs + this.#pick([300, 1_000, 5_000])),
      () => this.#changeTopology(node),
      () => this.#changeTopology(node),
      () => {
        const blocked = node.engine.view.blockedMembers()[0];
        if (blocked) this.#do(node, () => node.engine.unblock(blocked.id, this.#now(node)));
      },
    ]);
    act();
  }

  #change(node: Node): void {
    const key = `k${Math.floor(this.#random.next() * 4)}`;
    const { engine } = node;
    if (this.#chance(0.3)) {
      this.#note(() => `${node.id} deletes ${key}`);
      this.#do(node, () => engine.delete(key, this.#now(node)));
      return;
    }
    const value = this.#chance(0.1) ? "x".repeat(1_500) : Math.floor(this.#random.next() * 3);
    try {
      this.#do(node, () => engine.set(key, copyJson(value), this.#now(node)));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }

  #partition(): void {
    for (const id of this.#members) this.#sides.set(id, this.#chance(0.5) ? 1 : 2);
    this.#note(() => `partition ${[...this.#sides].map(([id, side]) => `${id}:${side}`).join(" ")}`);
  }

  #crash(node: Node): void {
    this.#end(node);
    if (this.#chance(0.3)) return;
    if (this.#chance(0.7)) return void this.#begin(node.id);
    this.#members.delete(node.id);
    const id = `n${this.nodes.length}`;
    this.#members.add(id);
    this.#begin(id);
    this.#announce();
  }

  #leave(node: Node): void {
    if (node.isLeaving) return;
    this.#note(() => `${node.id} leaves`);
    node.isLeaving = true;
    node.hasLeft = true;
    this.#do(node, () => node.engine.leave(this.#now(node)));
    node.nextRoundMs = this.#nowMs;
  }

  #changeTopology(node: Node): void {
    this.#pick<() => void>([
      () => this.#members.delete(node.id),
      () => this.#members.add(node.id),
      () => this.#members.add(node.id),
      () => this.#blocked.add(node.id),
      () => this.#blocked.clear(),
      () => {
        const { id } = this.#pick(this.nodes);
        if (!this.current(id) && this.alive.length < 12) this.#begin(id);
      },
    ])();
    this.#announce();
  }

  #announce(): void {
    const members = [...this.#members];
    const blocked = [...this.#blocked];
    for (const node of this.alive) {
      const atMs = this.#nowMs + Math.floor(this.#random.next() * 1_000);
      this.#topologies.push({ node, atMs, members, blocked });
    }
  }

  #hearTopology(told: { node: Node; members: string[]; blocked: string[] }): void {
    // One process receives them in order.
    const index = this.#topologies.findIndex(({ node }) => node === told.node);
    const [next] = this.#topologies.splice(index, 1);
    if (next!.node.isAlive) this.#tellTopology(next!.node, next!);
  }

  #tellTopology(node: Node, topology: { members: string[]; blocked: string[] }): void {
    const now = this.#now(node);
    this.#note(() => `${node.id} gets topology ${topology.members} blocked ${topology.blocked}`);
    for (const id of topology.members) {
      if (!node.lastMembers.has(id)) node.view.freshAt.set(id, now.monotonicMs);
    }
    node.lastMembers = new Set(topology.members);
    this.#do(node, () => node.engine.setTopology(topology, now));
  }

  // ---- chance and trace

  #chance(probability: number): boolean {
    return this.#random.next() < probability;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random.next() * from.length)]!;
  }

  #shuffled<T>(items: readonly T[]): T[] {
    const shuffled = [...items];
    for (let last = shuffled.length - 1; last > 0; last--) {
      const other = Math.floor(this.#random.next() * (last + 1));
      [shuffled[last], shuffled[other]] = [shuffled[other]!, shuffled[last]!];
    }
    return shuffled;
  }

  /** A trace line is built only if it is read. */
  #note(line: () => string): void {
    const atMs = this.#nowMs;
    this.trace.push(() => `${atMs} ${line()}`);
  }

  #noteEvents(node: Node, events: readonly EngineEvent[]): void {
    for (const event of events) {
      if (event.type === "GossipUpdate" || event.type === "Disseminated") continue;
      this.#note(() => `  ${node.id}: ${JSON.stringify(event)}`);
    }
  }
}

/** A stand-in for a signature: all fields that it would cover. */
function signatureOf({ entries, ...claim }: SignedState): string {
  return JSON.stringify([claim, entries.map(({ key, number, type, json }) => [key, number, type, json])]);
}

/** A delta as received, without the sender's stamps. Entries are frozen, so they may be shared. */
function unstamped<T extends PartialDelta>(delta: T): T {
  return {
    ...delta,
    members: delta.members.map((member) => ({
      ...member,
      entries: member.entries.map(({ key, number, type, value, json }) => ({
        key,
        number,
        type,
        value,
        json,
      })),
    })),
  };
}

function otherEnd({ ends }: Connection, node: Node): Node {
  return ends[0] === node ? ends[1] : ends[0];
}

function showMembers({ members }: PartialDelta): string {
  return members.map(({ id, incarnation, after, reset, entries, count }) =>
    `${id}/${incarnation.slice(8, 12)}${reset ? "!" : ""}(${after},${
      entries.map(({ key, number, value }) => `${value === undefined ? "-" : ""}${key}@${number}`).join(" ")
    }]${count === undefined ? "" : `♥${count}`}`
  ).join(" ");
}

function showLiveness({ count, vector }: Liveness): string {
  return `♥${count}${vector ? ` ${vector.active?.slice(0, 4) ?? "tags"} ${vector.counts}` : ""}`;
}

function describe(delta: Delta): string {
  return `${showMembers(delta)} ${delta.digest.slice(0, 4)}/${delta.active.slice(0, 4)}${
    delta.partial ? " partial" : ""
  }${delta.agreeing === undefined ? "" : ` agreeing ${delta.agreeing}`}`;
}

function showHolds(holds: KnownVersions): string {
  return holds.size === 0
    ? ""
    : `holds ${
      [...holds].map(([id, { incarnation, number }]) => `${id}/${incarnation.slice(8, 12)}@${number}`).join(
        " ",
      )
    }`;
}
