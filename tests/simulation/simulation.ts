/**
 * One simulation: a cluster of real gossipers, first under everything that can go wrong, then left in peace.
 *
 * @module
 */

import { fixedMembers } from "../../discovery/fixed.ts";
import { seeds } from "../../discovery/seeds.ts";
import { ENVELOPE_BYTES } from "../../engine/size.ts";
import { HEARTBEAT_KEY } from "../../engine/types.ts";
import type { Discovery, Member } from "../../gossiper/cluster.ts";
import { stateNameOf } from "../../gossiper/gossiper.ts";
import type { GossiperClosed } from "../../gossiper/contract.ts";
import { HearsayError } from "../../gossiper/errors.ts";
import type { HearsayEvent } from "../../gossiper/event_stream.ts";
import { memoryAddress, MemoryNetwork } from "../../transport/memory.ts";
import { VirtualRuntime } from "../virtual_runtime.ts";
import { Dice } from "./dice.ts";
import { AWAITED_KEY, CHECKED_KEY, type Leftovers, Process } from "./process.ts";
import {
  describeScenario,
  drawScenario,
  isLarge,
  type Scenario,
  type Trouble,
  type Wishes,
} from "./scenario.ts";
import { Trace } from "./trace.ts";
import { Weather } from "./weather.ts";
import { Witness } from "./witness.ts";

/** How often everything is looked at whole, in rounds. */
const SWEEP_ROUNDS = 8;
/** How many processes are looked at whole at a time. */
const SWEPT_PROCESSES = 12;
/** How many at the end, where there are very many. */
const SWEPT_OF_MANY = 100;
/** What is counted. */
const TALLIED: ReadonlySet<string> = new Set<HearsayEvent["type"]>([
  "Isolated",
  "MemberBlocked",
  "MemberSuspected",
  "MemberUnblocked",
  "MemberForgotten",
  "LifeRenewed",
  "SelfBlocked",
  "ReconcilingRequested",
  "ConflictDetected",
]);
/** No more keys than that at a member, but for those that somebody waits for. */
const KEYS = ["a", "b", "c", "__proto__", "κλειδί"];

/** What became of a simulation. */
export interface Outcome {
  readonly seed: number;
  /** What went wrong, and with whom; `undefined` where nothing did. */
  readonly violation: string | undefined;
  /** How long it took until all was well again, in virtual milliseconds, and how long it might have. */
  readonly recoveryMs: number;
  readonly recoveryBoundMs: number;
  readonly rounds: number;
  readonly messages: number;
  readonly bytes: number;
  /** The processes that there were, and how often one that ran was blocked as expired. */
  readonly processes: number;
  readonly falseBlocks: number;
  /** How often each of the rarer things happened: a fault that never does any harm tests nothing. */
  readonly tally: Readonly<Record<string, number>>;
  readonly virtualMs: number;
}

/** A cluster whose whole fate follows from a seed. */
export class Simulation {
  readonly seed: number;
  readonly scenario: Scenario;
  readonly trace = new Trace();
  readonly #dice: Dice;
  readonly #runtime: VirtualRuntime;
  readonly #network: MemoryNetwork;
  readonly #weather: Weather;
  readonly #witness: Witness;
  readonly #processes: Process[] = [];
  /** Who belongs to the cluster, by id, where members are told so. */
  readonly #members = new Map<string, Member>();
  /** Who has which limits. */
  readonly #limitsDice: Dice;
  /** Who comes back after it left. */
  readonly #returnsDice: Dice;
  readonly #hosts: string[] = [];
  readonly #lives = new Map<string, number>();
  readonly #pending = new Set<Promise<void>>();
  /** How to cancel what is to happen later. */
  readonly #planned = new Set<() => void>();
  readonly #proxiesDown = new Set<string>();
  #versions = 1;
  #values = 0;
  #started = 0;
  #isCalm = false;
  #violation: string | undefined;
  readonly #tally = new Map<string, number>();

  constructor(seed: number, wishes: Wishes = {}) {
    this.seed = seed;
    this.#dice = new Dice(seed);
    this.scenario = drawScenario(this.#dice.fork(), wishes);
    this.#limitsDice = new Dice(seed ^ 0x5bd1e995);
    this.#returnsDice = new Dice(seed ^ 0x2545f491);
    const { config, links, discovery } = this.scenario;
    this.#runtime = new VirtualRuntime({ seed: this.#dice.whole(0, 2 ** 32 - 1) });
    this.#network = new MemoryNetwork({
      runtime: this.#runtime,
      seed: this.#dice.whole(0, 2 ** 32 - 1),
      tap: (sent) => this.#witness.overhear(sent),
    });
    this.#weather = new Weather(this.#network, { dice: this.#dice.fork(), limits: links });
    this.#witness = new Witness({
      ...config,
      dice: this.#dice.fork(),
      // What waits for a slow reader was said before.
      underWayMs: 4 * config.gossipRequestTimeout + 60 * links.delayMs + 100,
      byGreeting: discovery === "seeds",
      nowMs: () => this.#runtime.monotonicMs(),
      processes: () => this.#processes,
      onViolation: (process, what) => this.#violated(process, what),
    });
  }

  /** What the seed decided, in lines. */
  describe(): string[] {
    return [`seed      ${this.seed}`, ...describeScenario(this.scenario)];
  }

  /** Runs it to its end; does not reject for what it finds. */
  async run(): Promise<Outcome> {
    let recoveryMs = NaN;
    const { stackTraceLimit } = Error;
    // Many members close connections without end, each with an error of which nobody reads where it was made.
    if (isLarge(this.scenario)) Error.stackTraceLimit = 1;
    try {
      await this.#begin();
      await this.#rage();
      await this.#calm();
      recoveryMs = await this.#recover();
      await this.#end();
    } catch (error) {
      if (!(error instanceof Violated)) this.#violated(undefined, `${(error as Error).stack}`);
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
    const { messages, bytes } = this.#network.counts;
    const virtualMs = this.#runtime.monotonicMs();
    return {
      seed: this.seed,
      violation: this.#violation,
      recoveryMs,
      recoveryBoundMs: this.recoveryBoundMs,
      rounds: virtualMs / this.scenario.config.gossipInterval,
      messages,
      bytes,
      processes: this.#processes.length,
      falseBlocks: this.#witness.falseBlocks,
      tally: Object.fromEntries(this.#tally),
      virtualMs,
    };
  }

  /**
   * How long it may take, once nothing goes wrong any more, until all survivors hold the same and know it:
   * the dead have to expire, which an old heartbeat by a longer way may delay once, the blocked have to be
   * probed, resting dials to be tried again, and everybody's state has to find room in messages.
   */
  get recoveryBoundMs(): number {
    const { config } = this.scenario;
    const { gossipInterval, gossipFanOut, gossipMaxSend, gossipRequestTimeout } = config;
    const places = 2 * this.#lives.size / (gossipFanOut * gossipMaxSend);
    const rounds = 40 + 20 * Math.log2(1 + this.#lives.size) + 12 * places;
    return 2 * config.heartbeatExpiration + 2 * config.blockedProbeInterval + 2 * config.maxBackoff +
      8 * gossipRequestTimeout + rounds * gossipInterval;
  }

  // ---- phases

  async #begin(): Promise<void> {
    const { size, config } = this.scenario;
    // However many there are, it takes a few rounds until all have started.
    const longestMs = config.gossipInterval * Math.min(1, 10 / size);
    for (let index = 0; index < size; index++) {
      this.#start(this.#newHost(), `m${index}`);
      if (this.#dice.chance(0.5)) await this.#pass(this.#dice.between(0, longestMs));
    }
    if (isLarge(this.scenario) && this.scenario.discovery === "told") this.#tellAll();
  }

  async #rage(): Promise<void> {
    const { rageMs, troubleEveryMs, changeEveryMs, config } = this.scenario;
    const endMs = this.#runtime.monotonicMs() + rageMs;
    this.#weather.redraw(this.#hosts);
    let nextTroubleMs = this.#runtime.monotonicMs() + this.#dice.wait(troubleEveryMs);
    let nextChangeMs = this.#runtime.monotonicMs() + this.#dice.wait(changeEveryMs);
    let nextSweepMs = this.#runtime.monotonicMs();
    // Among many it is long until all have heard of the last change, whatever its number.
    const lastChangeMs = isLarge(this.scenario) ? endMs - rageMs / 2 : endMs;
    for (let nowMs = this.#runtime.monotonicMs(); nowMs < endMs; nowMs = this.#runtime.monotonicMs()) {
      const next = Math.min(nextTroubleMs, nextChangeMs, nextSweepMs, endMs);
      await this.#pass(next - nowMs);
      if (next === nextSweepMs) {
        this.#sweep();
        nextSweepMs += SWEEP_ROUNDS * config.gossipInterval;
      } else if (next === nextTroubleMs) {
        this.#trouble(this.#dice.weighted(this.scenario.troubles));
        nextTroubleMs += this.#dice.wait(troubleEveryMs);
      } else if (next === nextChangeMs) {
        this.#change();
        nextChangeMs += this.#dice.wait(changeEveryMs);
        if (nextChangeMs > lastChangeMs) nextChangeMs = Infinity;
      }
    }
  }

  /** Ends all that goes wrong; whoever was leaving may finish. */
  async #calm(): Promise<void> {
    const { config, discovery } = this.scenario;
    this.#isCalm = true;
    this.#note("", "calm");
    this.#weather.clear();
    for (const process of this.#alive) process.thaw();
    await this.#pass(3 * config.gossipRequestTimeout);
    for (const process of this.#alive) {
      // One that still leaves has had its time.
      if (!process.isRunning) this.#kill(process);
    }
    for (const host of this.#seedHosts()) {
      if (!this.#alive.some((process) => process.host === host)) this.#start(host, this.#idFor(host));
    }
    if (this.#alive.length === 0) this.#start(this.#hosts[0]!, this.#idFor(this.#hosts[0]!));
    // Of many nobody has gone, and all were told of all.
    if (discovery === "told" && !isLarge(this.scenario)) {
      const present = new Set(this.#alive.map(({ id }) => id));
      // The dead may still be listed: then they expire.
      for (const id of [...this.#members.keys()]) {
        if (!present.has(id) && this.#dice.chance(0.5)) this.#members.delete(id);
      }
      await this.#pass(20 * config.gossipInterval);
      this.#tellAll();
    }
  }

  async #recover(): Promise<number> {
    const { gossipInterval, heartbeatExpiration } = this.scenario.config;
    const startMs = this.#runtime.monotonicMs();
    const elapsedMs = () => this.#runtime.monotonicMs() - startMs;
    for (let ill = this.#ill(); ill !== undefined; ill = this.#ill()) {
      if (elapsedMs() > this.recoveryBoundMs) {
        this.#violated(undefined, `${Math.round(this.recoveryBoundMs)} ms after the last fault ${ill}`);
      }
      await this.#pass(gossipInterval);
    }
    const recoveryMs = elapsedMs();
    this.#note("", `all is well after ${Math.round(recoveryMs)} ms`);
    this.#sweep(isLarge(this.scenario) ? SWEPT_OF_MANY : Infinity);
    // Whoever waited on one that is gone gives up.
    while (this.#pending.size > 0) await this.#pass(gossipInterval);
    if (!this.#dice.chance(0.25) || isLarge(this.scenario)) return recoveryMs;
    // Left alone for longer than anything takes, nobody takes the living for dead.
    const before = this.#witness.falseBlocks;
    await this.#pass(1.5 * heartbeatExpiration);
    const blocked = this.#witness.falseBlocks - before;
    if (blocked > 0) this.#violated(undefined, `${blocked} living members were blocked in peace`);
    this.#sweep(Infinity);
    if (this.#ill() !== undefined) this.#violated(undefined, `in peace ${this.#ill()}`);
    return recoveryMs;
  }

  async #end(): Promise<void> {
    const { gossipRequestTimeout } = this.scenario.config;
    for (const process of this.#alive) process.leave();
    await this.#pass(4 * gossipRequestTimeout + 1_000);
    const left = this.#alive.filter(({ hasStopped }) => !hasStopped).map(({ id }) => id);
    if (left.length > 0) this.#violated(undefined, `${left.join(", ")} did not stop in time`);
    // What a slow link still carries from before holds nobody up but the network.
    await this.#pass(60 * this.scenario.links.delayMs);
    for (const cancel of this.#planned) cancel();
    await this.#network[Symbol.asyncDispose]();
    await this.#runtime.settle();
    if (this.#runtime.timers > 0) this.#violated(undefined, `${this.#runtime.timers} timers are left`);
  }

  /** What is not yet well; `undefined` where all is. */
  #ill(): string | undefined {
    const survivors = this.#alive;
    // First what costs little. That each of many knows that all the others know takes as long again.
    const names = new Set(survivors.map(({ gossiper }) => stateNameOf(gossiper)));
    if (names.size > 1) return `${names.size} different states are held`;
    for (const { id, gossiper } of isLarge(this.scenario) ? [] : survivors) {
      // The last one cannot know that the others are gone for good.
      const isAlone = survivors.length === 1;
      const phase = isAlone ? gossiper.phase : "confirmed";
      if (gossiper.phase !== phase) return `${id} is ${gossiper.phase}`;
    }
    const ids = survivors.map(({ id }) => id).sort().join();
    const owned = survivors.map((owner) => ({ id: owner.id, values: [...this.#witness.latest(owner)] }));
    let digest: string | undefined;
    for (const { id, gossiper } of survivors) {
      const snapshot = gossiper.snapshot();
      const byId = new Map(snapshot.members.map((member) => [member.id, member]));
      const active = snapshot.members.filter(({ status }) => status === "active").map(({ id }) => id).join();
      if (active !== ids) return `${id} sees ${active}, and not ${ids}`;
      if ((digest ??= snapshot.digest) !== snapshot.digest) return `the digest of ${id} differs`;
      for (const owner of owned) {
        const { entries } = byId.get(owner.id)!;
        for (const [key, json] of owner.values) {
          const held = JSON.stringify(entries.find((entry) => entry.key === key)?.value);
          if (held !== json) return `${id} holds ${held} as ${key} of ${owner.id}, not ${json}`;
        }
      }
    }
    return undefined;
  }

  // ---- what goes on

  #change(): void {
    const process = this.#any((each) => each.isRunning && !each.machine.isFrozen);
    if (!process) return;
    const { gossiper } = process;
    const what = this.#dice.weighted([[6, "set"], [2, "delete"], [1, "await"], [1, "version"]] as const);
    const key = this.#dice.pick(KEYS);
    try {
      if (what === "delete") gossiper.deleteState(key);
      else if (what === "version") gossiper.setState(CHECKED_KEY, this.#versions);
      else if (what === "await") this.#awaitOne(process);
      else gossiper.setState(key, this.#value());
    } catch (error) {
      // A large value may leave no room for another.
      if (!(error instanceof HearsayError && error.code === "too_large")) throw error;
    }
  }

  #awaitOne(process: Process): void {
    const value = ++this.#values;
    const acknowledgedBy = this.#dice.pick([1, 2, "all"] as const);
    // No more than a few at a time: waiting costs room in the state.
    if (this.#pending.size >= 3) return;
    this.#witness.await(process, value);
    const controller = new AbortController();
    const giveUp = this.#later(this.scenario.rageMs / 2, () => controller.abort());
    const waiting = process.gossiper.setStateRequest(AWAITED_KEY, value, {
      acknowledgedBy,
      signal: controller.signal,
    }).then(() => {
      if (!process.isOver) this.#witness.checkPromise(process, value, acknowledgedBy);
    }).catch((error) => {
      // It gave up, or the member is gone: nothing was promised.
      const isGone = error instanceof HearsayError && ["stopped", "too_large"].includes(error.code);
      if (!isGone && !controller.signal.aborted) this.#violated(process, `waiting failed: ${error}`);
    }).finally(() => {
      giveUp();
      this.#pending.delete(waiting);
    });
    this.#pending.add(waiting);
  }

  #value(): unknown {
    const number = ++this.#values;
    return this.#dice.pick<unknown>([number, `${number}`, [number, null], {
      "__proto__": number,
      "𝄞": "\u0000",
    }]);
  }

  #trouble(trouble: Trouble): void {
    const { config, clockStepMs, discovery } = this.scenario;
    const process = this.#any(() => true);
    const host = this.#dice.pick(this.#hosts);
    switch (trouble) {
      case "links":
        this.#note("", "the links change");
        return this.#weather.redraw(this.#hosts);
      case "break": {
        const other = this.#dice.pick(this.#hosts);
        if (host === other) return;
        this.#note(host, `its connections to ${other} break`);
        return this.#weather.break(host, other);
      }
      case "partition": {
        const [one, other] = this.#split();
        const isTold = this.#dice.chance(0.5);
        this.#note("", `${one.join()} and ${other.join()} part${isTold ? "" : " without a word"}`);
        return this.#weather.part(one, other, { isTold });
      }
      case "one way": {
        const [from, to] = this.#split();
        this.#note("", `nothing comes from ${from.join()} to ${to.join()}`);
        return this.#weather.silence(from, to);
      }
      case "heal":
        this.#note("", "partitions heal");
        return this.#weather.heal();
      case "proxy": {
        // A proxy in front of a member restarts: within a second, or as short as its cluster's times are.
        const { heartbeatExpiration } = config;
        // What refuses for longer than that, in one piece or in several, cannot be told from a crash.
        if (this.#proxiesDown.has(host)) return;
        this.#proxiesDown.add(host);
        this.#later(3_000, () => this.#proxiesDown.delete(host));
        const forMs = this.#dice.between(0, Math.min(1_000, heartbeatExpiration / 2.2));
        this.#note(host, `its proxy is gone for ${Math.round(forMs)} ms`);
        this.#network.stopProxy(memoryAddress(host, 1));
        this.#later(forMs, () => this.#network.restoreProxy(memoryAddress(host, 1)));
        return;
      }
      case "slow":
        this.#note(host, "becomes slow");
        return this.#weather.slow(host);
      case "freeze":
        return process && this.#freeze(process);
      case "clock": {
        const byMs = Math.round(this.#dice.between(-clockStepMs, clockStepMs));
        if (!process || byMs === 0) return;
        this.#note(process.id, `its clock steps by ${byMs} ms`);
        return process.machine.stepWall(byMs);
      }
      case "crash":
        return process && this.#kill(process);
      case "leave":
        if (!process?.isRunning) return;
        this.#note(process.id, "leaves");
        process.leave();
        return this.#returnLater(process.host);
      case "join": {
        if (discovery === "fixed" || this.#alive.length > 1.5 * this.scenario.size + 1) return;
        const fresh = this.#newHost();
        return this.#start(fresh, `m${this.#hosts.length - 1}`);
      }
      case "restart":
        return this.#restart(host);
      case "restart all":
        this.#note("", "all are killed");
        for (const each of this.#alive) this.#kill(each);
        for (const each of this.#hosts) if (this.#dice.chance(0.8)) this.#restart(each);
        return;
      case "rollout":
        return this.#rollOut();
      case "topology":
        return this.#tellSome();
      case "large value": {
        if (!process?.isRunning) return;
        if (config.maxMessageBytes > 64 * 1_024) return;
        const share = this.#dice.between(0.2, 0.95);
        const mostBytes = config.maxMessageBytes / 2 - ENVELOPE_BYTES;
        try {
          process.gossiper.setState("large", "x".repeat(Math.floor(share * mostBytes)));
          this.#note(process.id, `sets ${Math.round(share * 100)} % of what a member may`);
          this.#count("large value");
        } catch (error) {
          if (!(error instanceof HearsayError && error.code === "too_large")) throw error;
        }
        return;
      }
      case "many keys":
        return process?.isRunning ? this.#changeMany(process) : undefined;
    }
  }

  /** A state that takes several of the smallest messages. */
  #changeMany({ id, gossiper }: Process): void {
    const count = this.#dice.whole(60, 150);
    const isToDelete = this.#dice.chance(0.4);
    for (let key = 0; key < count; key++) {
      if (isToDelete) gossiper.deleteState(`many ${key}`);
      else gossiper.setState(`many ${key}`, this.#value());
    }
    this.#note(id, `${isToDelete ? "deletes" : "sets"} ${count} keys`);
    this.#count("many keys");
  }

  #freeze(process: Process): void {
    const forMs = this.#dice.between(0, 2 * this.scenario.config.heartbeatExpiration);
    this.#note(process.id, `stands still for ${Math.round(forMs)} ms`);
    process.freeze();
    this.#later(forMs, () => {
      if (process.isOver || !process.machine.isFrozen) return;
      this.#note(process.id, "goes on");
      process.thaw();
    });
  }

  /** Half of those that leave start again at the same address, as after a save or a new version: mostly once they are gone. */
  #returnLater(host: string): void {
    const { discovery, config } = this.scenario;
    if (discovery !== "seeds" || this.#returnsDice.chance(0.5)) return;
    this.#later(this.#returnsDice.between(0, 6 * config.gossipRequestTimeout), () => {
      if (this.#isCalm || this.#violation !== undefined) return;
      if (this.#alive.some((process) => process.host === host && process.isRunning)) return;
      this.#note(host, "starts again after it left");
      this.#restart(host);
    });
  }

  #restart(host: string): void {
    const running = this.#alive.find((process) => process.host === host);
    if (running) this.#kill(running);
    this.#start(host, this.#idFor(host));
  }

  /** One after another, every machine runs a new version. */
  #rollOut(): void {
    this.#versions++;
    this.#note("", `version ${this.#versions} is rolled out`);
    const { gossipInterval } = this.scenario.config;
    for (const [index, host] of this.#hosts.entries()) {
      this.#later(index * 2 * gossipInterval, () => {
        if (!this.#isCalm && this.#violation === undefined) this.#restart(host);
      });
    }
  }

  #tellSome(): void {
    if (this.scenario.discovery !== "told") return;
    const { gossipInterval } = this.scenario.config;
    const [blocked] = this.#dice.chance(0.3) ? this.#dice.some([...this.#members.keys()], 0.2) : [];
    for (const process of this.#alive) {
      if (!this.#dice.chance(0.7)) continue;
      const topology = {
        members: this.#dice.some([...this.#members.values()], 0.95),
        blocked: blocked === undefined || blocked === process.id ? [] : [blocked],
      };
      // Each has a way of its own, so that some come late and in another order.
      this.#later(this.#dice.wait(5 * gossipInterval), () => {
        if (!this.#isCalm && !process.isOver && !process.machine.isFrozen) this.#tell(process, topology);
      });
    }
  }

  #tellAll(): void {
    const members = [...this.#members.values()];
    for (const process of this.#alive) this.#tell(process, { members, blocked: [] });
  }

  #tell(
    process: Process,
    topology: { readonly members: Member[]; readonly blocked: readonly string[] },
  ): void {
    const others = topology.members.filter(({ id }) => id !== process.id);
    process.stream.publish({
      type: "ClusterTopology",
      members: [process.record, ...others],
      blocked: topology.blocked,
    });
  }

  // ---- processes

  #start(host: string, id: string): void {
    const { discovery, drift, clockStepMs, messageBytes } = this.scenario;
    const config = { ...this.scenario.config, maxMessageBytes: this.#limitsDice.pick(messageBytes) };
    this.#lives.set(id, (this.#lives.get(id) ?? 0) + 1);
    const machine = this.#runtime.machine({
      wallMs: this.#runtime.wallMs() + Math.round(this.#dice.between(-clockStepMs, clockStepMs)),
      rate: 1 + this.#dice.between(-drift, drift),
    });
    const process: Process = new Process({
      id,
      host,
      machine,
      nowMs: this.#runtime.monotonicMs(),
      network: this.#network,
      config,
      discovery: this.#discovery(),
      onEvent: (from, event) => this.#hear(from, event),
      onClosed: (from, closed, left) => this.#closed(from, closed, left),
    });
    this.#note(id, `starts at ${host}, process ${++this.#started}`);
    this.#processes.push(process);
    process.gossiper.setState(CHECKED_KEY, this.#versions);
    void process.start();
    if (discovery !== "told") return;
    this.#members.set(id, process.record);
    // Of many each is told of all others at once.
    for (const other of isLarge(this.scenario) ? [] : this.#alive) {
      if (other !== process && this.#dice.chance(0.3)) continue;
      this.#tell(other, { members: [...this.#members.values()], blocked: [] });
    }
  }

  #kill(process: Process): void {
    if (process.isOver) return;
    this.#note(process.id, "is killed");
    process.kill();
    for (const host of this.#hosts) if (host !== process.host) this.#weather.break(process.host, host);
  }

  #discovery(): Discovery | undefined {
    const { discovery, size } = this.scenario;
    if (discovery === "told") return undefined;
    if (discovery === "seeds") return seeds(this.#seedHosts().map((host) => memoryAddress(host, 1)));
    const all = Array.from({ length: size }, (_, index) => index);
    return fixedMembers(all.map((index) => ({ id: `m${index}`, host: `h${index}`, port: 1, kinds: [] })));
  }

  #seedHosts(): string[] {
    return this.scenario.discovery === "seeds" ? ["h0", "h1"].slice(0, this.scenario.size) : [];
  }

  #newHost(): string {
    const host = `h${this.#hosts.length}`;
    this.#hosts.push(host);
    return host;
  }

  /** The id of the process that starts on a machine: that of the last one there, or a new one. */
  #idFor(host: string): string {
    const last = this.#processes.findLast((process) => process.host === host)?.id ?? host.replace("h", "m");
    const isPinned = this.scenario.discovery === "fixed" || this.#dice.chance(0.5);
    if (isPinned || this.#lives.size >= 4 * this.scenario.size + 4) return last;
    return `${last.split(".")[0]}.${this.#started}`;
  }

  get #alive(): Process[] {
    return this.#processes.filter((process) => !process.isOver);
  }

  #any(isMeant: (process: Process) => boolean): Process | undefined {
    const meant = this.#alive.filter(isMeant);
    return meant.length === 0 ? undefined : this.#dice.pick(meant);
  }

  #split(): [string[], string[]] {
    // Every pair that is parted takes room for as long as the run lasts.
    const share = isLarge(this.scenario) ? 10 / this.scenario.size : this.#dice.pick([0.2, 0.5]);
    const one = this.#dice.some(this.#hosts, share);
    return [one, this.#hosts.filter((host) => !one.includes(host))];
  }

  // ---- time, and what is seen

  async #pass(forMs: number): Promise<void> {
    await this.#runtime.advance(Math.max(0, forMs));
    if (this.#violation !== undefined) throw new Violated();
  }

  /** Does something later, unless the simulation is over by then; returns how to cancel that. */
  #later(afterMs: number, action: () => void): () => void {
    const cancel = this.#runtime.setTimer(afterMs, () => {
      this.#planned.delete(cancel);
      action();
    });
    this.#planned.add(cancel);
    return () => {
      this.#planned.delete(cancel);
      cancel();
    };
  }

  #sweep(most: number = SWEPT_PROCESSES): void {
    const processes = this.#alive;
    const chance = Math.min(1, most / Math.max(1, processes.length));
    this.#witness.sweep(this.#dice.some(processes, chance));
  }

  #hear(process: Process, event: HearsayEvent): void {
    if (process.isOver) return;
    // What each of many hears of all the others nobody reads.
    const isHearsay = event.type === "GossipUpdate" && event.memberId !== process.id;
    const line = isHearsay && isLarge(this.scenario) ? undefined : lineOf(process, event);
    if (line !== undefined) this.#note(process.id, line);
    if (TALLIED.has(event.type)) this.#count(event.type);
    this.#witness.hear(process, event);
  }

  #count(what: string): void {
    this.#tally.set(what, (this.#tally.get(what) ?? 0) + 1);
  }

  #closed(process: Process, { reason, error, flush }: GossiperClosed, left: Leftovers): void {
    this.#note(process.id, `is gone: ${reason}, told ${flush?.acknowledgedBy} of ${flush?.wanted}`);
    if (reason === "failed") this.#violated(process, `it failed: ${(error as Error)?.stack ?? error}`);
    const { connections, timers } = left;
    if (connections + timers === 0) return;
    this.#violated(process, `it is over, and ${connections} connections and ${timers} timers are left`);
  }

  #note(who: string, what: string): void {
    this.trace.add(this.#runtime.monotonicMs(), who, what);
  }

  #violated(process: Process | undefined, what: string): void {
    if (this.#violation !== undefined) return;
    this.#violation = process ? `${process.id}: ${what}` : what;
    this.#note(process?.id ?? "", `WRONG: ${what}`);
  }
}

/** Ends a simulation in which something was found to be wrong. */
class Violated extends Error {}

/** What is told of an event; nothing of those that come by the thousand. */
function lineOf(process: Process, event: HearsayEvent): string | undefined {
  switch (event.type) {
    case "GossipUpdate": {
      if (event.key === HEARTBEAT_KEY || event.key.startsWith("hearsay.") || event.key === "topology") return;
      const value = event.deleted ? "deleted" : `= ${JSON.stringify(event.value).slice(0, 40)}`;
      const owner = event.memberId === process.id ? "sets" : `hears ${event.memberId}`;
      return `${owner} ${event.key}@${event.sequenceNumber} ${value}`;
    }
    case "MemberBlocked":
      return `blocks ${event.memberId} (${event.reason})`;
    case "MemberUnblocked":
      return `frees ${event.memberId}`;
    case "MemberForgotten":
      return `forgets ${event.memberId}`;
    case "SelfBlocked":
      return `is told by ${event.peerId ?? "itself"} that it is blocked (${event.reason})`;
    case "LifeRenewed":
      return `begins the life ${event.life}`;
    case "ConflictDetected":
      return `sees a conflict about ${event.memberId} (${event.reason})`;
    case "PhaseChanged":
      return `is ${event.to}`;
    case "ConsensusReached":
      return `agrees on ${JSON.stringify(event.value)}`;
    case "ConsensusLost":
      return "agrees no more";
    case "ReconcilingRequested":
      return `compares with ${event.peerId}`;
    case "ClusterTopology":
      // Of many the names would take more memory than the cluster.
      return `knows of ${
        isLarge({ size: event.members.length })
          ? event.members.length
          : event.members.map(({ id }) => id).join()
      }`;
    case "RequestFailed": {
      const { error } = event;
      return `fails to reach ${event.peerId}: ${error instanceof HearsayError ? error.code : error}`;
    }
  }
}
