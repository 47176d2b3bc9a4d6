import type { Mutant } from "../mutant_run.ts";

/** How long 300 seeds may take where none of them notices anything. */
const LIMIT_MS = 400_000;

function unseen(file: string, find: string, replace: string): Mutant {
  return {
    file,
    find,
    replace,
    test: "E1 to E14 whatever happens",
    files: ["tests/simulation/simulation_test.ts"],
    limitMs: LIMIT_MS,
  };
}

/** Breaks that the simulator has to find by itself, within 300 seeds that are drawn anew each time. */
export const MUTANTS: readonly Mutant[] = [
  // Committed when it is sent, not when it is acknowledged.
  unseen(
    "engine/exchange.ts",
    "return { delta, sent: { peerId, peerLife, retold, members, outcome, state: this.state, bytes } };",
    "const sent = { peerId, peerLife, retold, members, outcome, state: this.state, bytes };\n    this.acknowledge(sent, new Map());\n    return { delta, sent };",
  ),
  // What is replied counts as held before it is acknowledged.
  unseen(
    "gossiper/answers.ts",
    "    return { delta, sent, holds, liveness",
    "    this.#acknowledge(sent, new Map());\n    return { delta, sent, holds, liveness",
  ),
  // A peer that has the state before a reset is taken to have the reset.
  unseen(
    "engine/store.ts",
    "member.raiseFloor({ number: floor, serial: this.order.serial });",
    "member.raiseFloor({ number: floor, serial: before.changedSerial });",
  ),
  // A gap is passed over.
  unseen(
    "engine/merge.ts",
    "if ((mine?.held ?? 0) < told.after) {",
    "if ((mine?.held ?? 0) + 3 < told.after) {",
  ),
  // What is older is merged as well.
  unseen("engine/merge.ts", "if (held && held.life > life) return note(held, telling);", ""),
  // A reset drops nothing that is newer than itself.
  unseen(
    "engine/merge.ts",
    "if (mine && told.reset && end < mine.held) return note(mine, telling);",
    "",
  ),
  // No memory of what was forgotten.
  unseen(
    "engine/membership.ts",
    "    if (member) this.departures.remember(id, { life: member.life, number: member.highest });\n",
    "",
  ),
  // The floor is ignored.
  unseen(
    "engine/member_state.ts",
    "const reset = options.reset === true || after < this.floor;",
    "const reset = options.reset === true;",
  ),
  // A deletion is not told.
  unseen(
    "engine/member_state.ts",
    "      entries.push(entry);\n",
    "      if (entry.value !== undefined) entries.push(entry);\n",
  ),
  // Expiry by a clock that steps.
  unseen(
    "engine/membership.ts",
    "this.#detector.expired(now.monotonicMs, this.#settings.heartbeatExpiration)",
    "this.#detector.expired(now.wallMs, this.#settings.heartbeatExpiration)",
  ),
  // Time in which this process stood still counts against others.
  unseen(
    "engine/liveness/failure_detector.ts",
    "Math.min(Math.max(0, nowMs - this.#checkedAtMs), this.#longestGapMs)",
    "Math.max(0, nowMs - this.#checkedAtMs)",
  ),
  // One member too many in a message.
  unseen(
    "engine/selection.ts",
    "if (deltas.size === room.members) break;",
    "if (deltas.size > room.members) break;",
  ),
  // Who left stays blocked when it is back.
  unseen(
    "engine/membership.ts",
    '    if (this.blocks.reason(id) !== "topology") this.free(id, now);\n  }\n\n  /** A member\'s state says',
    "  }\n\n  /** A member's state says",
  ),
  // What is old news is put again.
  unseen(
    "engine/merge.ts",
    "const news = told.entries.filter((entry) => entry.number > held.held);",
    "const news = told.entries;",
  ),
  // A block as expired is never lifted by proof of life.
  unseen(
    "engine/membership.ts",
    "if (endsWithLife(reason)) this.free(id, now);\n    else if",
    "if",
  ),
  // The digest does not follow the set of active members.
  unseen(
    "engine/store.ts",
    "    if (member) this.#digest.removeSum(member.sum);\n    if (member) this.#inactive",
    "    if (member) this.#inactive",
  ),
  // Blocked members still get gossip.
  unseen(
    "engine/membership.ts",
    "const active = this.#topology.has(id) && !this.blocks.has(id);",
    "const active = this.#topology.has(id);",
  ),
  // A check does not see that somebody is active no more.
  unseen(
    "engine/store.ts",
    "    for (const check of this.checks.values()) check.note(id, undefined);\n  }",
    "  }",
  ),
  // Two answers under one id.
  unseen("gossiper/session.ts", "    if (number <= this.#lastAsked) return false;\n", ""),
  // Whoever leaves tells nobody.
  unseen("engine/membership.ts", '    this.#leavers.add(id);\n    this.block(id, "left", now);\n', ""),
  // The blocked are never greeted.
  unseen(
    "gossiper/rounds.ts",
    "    for (const id of core.engine.dueProbes(core.now())) if (this.#isWithinReach(id)) this.greetLater(id);\n",
    "",
  ),
  // A timer is left behind when a session is over.
  unseen(
    "gossiper/session.ts",
    "    this.#cancelTimer();\n    if (reason !== undefined) this.#controller.error(reason);",
    "    if (reason !== undefined) this.#controller.error(reason);",
  ),
  // A gossiper is over while its connections are open.
  unseen(
    "gossiper/running.ts",
    "      this.#peers.close(reason),\n",
    "",
  ),
  // The departed are kept for much longer than they may be.
  unseen(
    "engine/departures.ts",
    "if (nowMs - since < this.#retentionMs) break;",
    "if (nowMs - since < 100 * this.#retentionMs) break;",
  ),
  // A heartbeat of a member that is blocked here is passed on.
  unseen(
    "engine/news.ts",
    "    if (this.#store.active.has(id)) {\n      return {",
    "    if (id) {\n      return {",
  ),
  // A key is lost where the owner begins a life anew.
  unseen(
    "engine/engine.ts",
    "const entries = this.entriesOf(this.#id).map(",
    'const entries = this.entriesOf(this.#id).filter(({ key }) => key !== "awaited").map(',
  ),
  // Who lacks a deletion counts as holding all.
  unseen(
    "engine/member_state.ts",
    "if (!this.isForeign) return known.changes.has(this.changedSerial);",
    "if (!this.isForeign && this.#entries.newest?.value === undefined) return true;\n    if (!this.isForeign) return known.changes.has(this.changedSerial);",
  ),
];
