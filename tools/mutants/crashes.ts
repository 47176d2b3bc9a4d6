import type { Mutant } from "../mutant_run.ts";

const WATCH = ["tests/unit/crash_watch_test.ts"];
const SUSPICION = ["tests/unit/engine/isolation_and_suspicion_test.ts"];

/** Breaks of how crashes are found: what is evidence, who is asked, and what ends a suspicion (rules C1 to C4). */
export const MUTANTS: readonly Mutant[] = [
  // C1: evidence
  {
    file: "gossiper/crash_watch.ts",
    find: "return error instanceof ConnectionRefused;",
    replace: "return error instanceof Error;",
    test: "CrashWatch: a connection that breaks while dials hang is no evidence",
    files: WATCH,
  },
  {
    file: "gossiper/crash_watch.ts",
    find: "      if (!await this.#isRefused(id)) return;\n",
    replace: "      await this.#isRefused(id);\n",
    test: "CrashWatch: a connection that breaks while the address answers is no evidence",
    files: WATCH,
  },
  {
    file: "gossiper/peers.ts",
    find: "else if (isBroken(code)) this.#options.onBroken(id);",
    replace: "this.#options.onBroken(id);",
    test: "CrashWatch: a member that closes its transport with a close code is not suspected",
    files: WATCH,
  },
  {
    file: "gossiper/crash_watch.ts",
    find: "member && isDialable(member) && id",
    replace: "member && id",
    test: "CrashWatch: a member that only dials is blocked as expired",
    files: WATCH,
  },
  // C2: suspicion
  {
    file: "engine/engine.ts",
    find: "const isNew = this.#store.active.has(memberId) && this.#suspicions",
    replace: "const isNew = this.#suspicions",
    test: "Engine.suspect: suspects only active members",
    files: SUSPICION,
  },
  {
    file: "gossiper/crash_watch.ts",
    find: "      this.#inform(id);\n",
    replace: "",
    test: "CrashWatch: a suspicion is sent to connected peers",
    files: WATCH,
  },
  {
    file: "gossiper/crash_watch.ts",
    find: "    if (engine.lifeOf(memberId) !== life) return;\n",
    replace: "",
    test: "CrashWatch: a suspicion of an earlier life is ignored",
    files: WATCH,
  },
  {
    file: "gossiper/crash_watch.ts",
    find: "if (known > count) session.suspect(",
    replace: "if (known < count) session.suspect(",
    test: "CrashWatch: a member that has heard the suspect since answers with its count",
    files: WATCH,
  },
  {
    file: "gossiper/crash_watch.ts",
    find: "      if (count >= own) core.do(",
    replace: "      if (count > own) core.do(",
    test: "CrashWatch: a suspect answers its suspicion with a new count",
    files: WATCH,
  },
  {
    file: "gossiper/crash_watch.ts",
    find: "if (!peers.session(memberId) && this.#hearsay.take(1)) this",
    replace: "if (!peers.session(memberId)) this",
    test: "CrashWatch: a flood of suspicions leads to at most 32 dials a second",
    files: WATCH,
  },
  {
    file: "gossiper/crash_watch.ts",
    find: "      if (!this.#hearsay.take(1)) return;\n",
    replace: "",
    test: "CrashWatch: a flood of suspicions raises the suspect's own count at most 32 times",
    files: WATCH,
  },
  {
    file: "gossiper/crash_watch.ts",
    find: "if (!peers.session(memberId) && this.#hearsay.take(1)) this.#watch(memberId);",
    replace: "if (peers.session(memberId) && this.#hearsay.take(1)) this.#watch(memberId);",
    test: "CrashWatch: a member without a connection to a suspect dials it",
    files: WATCH,
  },
  // C3: confirmation
  {
    file: "gossiper/crash_watch.ts",
    find: "export const CONFIRM_AFTER_MS = 1_100;",
    replace: "export const CONFIRM_AFTER_MS = 900;",
    test: "CrashWatch: a crashed member is not blocked before 1.1 s have passed",
    files: WATCH,
  },
  {
    file: "gossiper/crash_watch.ts",
    find: "Math.min(CONFIRM_AFTER_MS, options.settings.heartbeatExpiration / 2)",
    replace: "CONFIRM_AFTER_MS + 0 * options.settings.heartbeatExpiration",
    test: "CrashWatch: waits half of a short expiration",
    files: WATCH,
  },
  {
    file: "gossiper/crash_watch.ts",
    find: "Math.ceil(this.#waitMs / (DIALS - 1))",
    replace: "Math.floor(this.#waitMs / (DIALS - 1))",
    test: "CrashWatch: a crashed member is suspected at once and blocked by all within 1.2 s",
    files: WATCH,
  },
  {
    file: "gossiper/crash_watch.ts",
    find: "if (refused >= DIALS && this.#isConfirmed(id)) return;",
    replace: "if (this.#isConfirmed(id)) return;",
    test: "CrashWatch: a process that stood still does not count that time as a wait",
    files: WATCH,
  },
  {
    file: "engine/engine.ts",
    find: 'if (isBlocked) this.#membership.block(memberId, "crashed", now);',
    replace: 'this.#membership.block(memberId, "crashed", now);',
    test: "Engine.confirmCrash: blocks no member that is not suspected",
    files: SUSPICION,
  },
  // C4: refutation
  {
    file: "engine/engine.ts",
    find: "      this.#suspicions.remove(peer.id);\n",
    replace: "",
    test: "Engine.greeted: ends a suspicion, and a block as crashed",
    files: SUSPICION,
  },
  {
    file: "engine/block_list.ts",
    find: 'return reason === "crashed" || reason === "expired";',
    replace: 'return reason === "expired";',
    test: "CrashWatch: a living member that was blocked as crashed is freed by its greeting",
    files: WATCH,
  },
  {
    file: "gossiper/crash_watch.ts",
    find: "    core.do((engine, now) => engine.applyCount(memberId, count, now));\n",
    replace: "",
    test: "CrashWatch: a newer count that a third member passes on begins the wait anew",
    files: WATCH,
  },
  {
    file: "engine/engine.ts",
    find: "      this.#suspicions.remove(memberId);\n",
    replace: "",
    test: "Engine.clearSuspicion: the next suspicion is a new one",
    files: SUSPICION,
  },
  // E2: a life that cannot be believed costs its entry alone
  {
    file: "engine/engine.ts",
    find: "refused?.has(each.id) || isFarAhead(each.life, now.wallMs);",
    replace: "refused?.has(each.id);",
    test: "E2 a life more than a year ahead of my clock is refused, and the rest",
    files: ["tests/unit/engine/e2_numbers_test.ts"],
  },
  {
    file: "engine/engine.ts",
    find: "      else if (isRefused) continue;\n",
    replace: "",
    test: "E2 my own id in a life more than a year ahead moves me nowhere",
    files: ["tests/unit/engine/e2_numbers_test.ts"],
  },
  // L2 and L5: the form of a vector, and a message that comes before a tick that notices a gap
  {
    file: "engine/engine.ts",
    find:
      "    if (peer?.life !== undefined && isForeign(peer.life)) return { count: this.#self.heartbeatCount };\n",
    replace: "",
    test: "Engine.liveness: sends no vector to an unversioned peer",
    files: ["tests/unit/engine/quiet_test.ts"],
  },
  {
    file: "engine/engine.ts",
    find: "if (peer) peer.lives = active;",
    replace: "if (peer && active !== undefined) peer.lives = active;",
    test: "Engine.liveness: names members by tags to a peer that does",
    files: ["tests/unit/engine/quiet_test.ts"],
  },
  {
    file: "engine/exchange.ts",
    find: "    else if (active !== this.#store.activeHash) peer.lives = undefined;\n",
    replace: "",
    test: "Engine.liveness: names members by tags to a peer with other active members",
    files: ["tests/unit/engine/quiet_test.ts"],
  },
  {
    file: "engine/engine.ts",
    find: "Math.min(this.#heardMs + lostMs, now.monotonicMs)",
    replace: "this.#heardMs + lostMs",
    test: "tick: a message after a gap and before the tick does not put off isolation",
    files: ["tests/unit/engine/quiet_test.ts"],
  },
];
