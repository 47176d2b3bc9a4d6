import type { Mutant } from "../mutant_run.ts";

const E9 = ["tests/unit/engine/e9_to_e11_test.ts"];
const E12 = ["tests/unit/engine/e12_to_e14_test.ts"];
const R5 = ["tests/requirements/R5_test.ts"];
const R8 = ["tests/requirements/R8_test.ts"];
const R10 = ["tests/requirements/R10_test.ts"];
const R11 = ["tests/requirements/R11_test.ts"];

/** Breaks of who is alive, who is forgotten, and who agrees. */
export const MUTANTS: readonly Mutant[] = [
  {
    file: "engine/vigil.ts",
    find: "if (this.#attentiveMs - freshAt <= limitMs) break;",
    replace: "if (this.#attentiveMs - freshAt < limitMs) break;",
    test: "E9 a member that is silent for longer",
    files: E9,
  },
  {
    file: "engine/vigil.ts",
    find: "Math.min(Math.max(0, nowMs - this.#lookedAtMs), this.#longestGapMs)",
    replace: "Math.max(0, nowMs - this.#lookedAtMs)",
    test: "E9 the time for which the loop itself stood still",
    files: E9,
  },
  {
    file: "engine/membership.ts",
    find: "      this.#vigil.refresh(id, now.monotonicMs);\n      this.#place(id, now);",
    replace: "      this.#place(id, now);",
    test: "E9 a member that never sent a heartbeat",
    files: E9,
  },
  {
    file: "engine/merge.ts",
    find: "const news = told.entries.filter((entry) => entry.number > held.held);",
    replace: "const news = told.entries;",
    test: "E9 a heartbeat heard again",
    files: E9,
  },
  {
    file: "engine/membership.ts",
    find: 'if (reason === "expired") this.free(id, now);',
    replace: 'if (reason === "expired") return;',
    test: "E10 a newer heartbeat, from whomever",
    files: E9,
  },
  {
    file: "engine/engine.ts",
    find: 'if (this.#membership.blocks.reason(peer.id) === "expired") this.#membership.free(peer.id, now);',
    replace: "",
    test: "E10 its own greeting frees",
    files: E9,
  },
  {
    file: "engine/membership.ts",
    find: "return this.#store.order.get(id)?.lastHeartbeat || Infinity;",
    replace: "return Infinity;",
    test: "E10 the heartbeat of a blocked member is not passed on",
    files: E9,
  },
  {
    file: "engine/membership.ts",
    find: 'if (reason === undefined || reason === "left") return Infinity;',
    replace: "if (reason === undefined) return Infinity;",
    test: "E10 that a blocked member left is passed on",
    files: E9,
  },
  {
    file: "engine/engine.ts",
    find: "if (!this.#blockedBy.has(peerId)) this.#events.push",
    replace: "this.#events.push",
    test: "E10 that a peer blocks this member is told once",
    files: E9,
  },
  {
    file: "engine/departures.ts",
    find: "nowMs - since < this.#retentionMs / 2",
    replace: "nowMs - since < this.#retentionMs",
    test: "E11 what departed is passed on for half",
    files: E9,
  },
  {
    file: "engine/departures.ts",
    find: "news.number <= memory.number",
    replace: "news.number < memory.number",
    test: "E11 no slower peer brings back",
    files: E9,
  },
  {
    file: "engine/membership.ts",
    find: "      this.departures.comeBack(id);\n",
    replace: "",
    test: "E11 one that comes into the topology in time",
    files: E9,
  },
  {
    file: "engine/engine.ts",
    find: "if (this.#publishedState !== this.#exchange.state) {",
    replace: "{",
    test: "E12 a member publishes its digest",
    files: E12,
  },
  {
    file: "engine/store.ts",
    find: "if (key === DIGEST_KEY && this.#active.has(id)) this.#notePublished(id, value);",
    replace: "",
    test: "E12 of a third member it is known",
    files: E12,
  },
  {
    file: "engine/exchange.ts",
    find: "peer.mismatches < 2",
    replace: "peer.mismatches < 1",
    test: "E12 digests are not compared",
    files: E12,
  },
  {
    file: "engine/exchange.ts",
    find: "id === this.#selfId || this.#selfId < peer.id",
    replace: "id === this.#selfId || this.#selfId > peer.id",
    test: "E12 where neither is the owner",
    files: E12,
  },
  {
    file: "engine/engine.ts",
    find: "this.#contact = !start.byGreeting && !start.awaitsTopology;",
    replace: "this.#contact = true;",
    test: "E13 the first contact",
    files: E12,
  },
  {
    file: "engine/engine.ts",
    find: "if (this.#publishedTopology !== active) {",
    replace: "{",
    test: "E14 the topology entry",
    files: E12,
  },
  {
    file: "engine/engine.ts",
    find: "ids.slice(0, MAX_PUBLISHED_BLOCKED)",
    replace: "ids",
    test: "E14 what a member publishes",
    files: E12,
  },
  {
    file: "engine/merge.ts",
    find: "this.#store.put(held, news, now);",
    replace: "",
    test: "R5.1",
    files: R5,
  },
  {
    file: "gossiper/answers.ts",
    find: "const { delta, sent } = this.#core.do((engine) => engine.disseminate(peerId, { holds }));",
    replace: 'const { delta, sent } = this.#core.do((engine) => engine.disseminate("nobody", { holds }));',
    test: "R8.1 R8.2",
    files: R8,
  },
  {
    file: "engine/membership.ts",
    find: "    this.#leavers.add(id);\n",
    replace: "    return;\n",
    test: "R10.3 R2.4",
    files: R10,
  },
  {
    file: "engine/engine.ts",
    find: "return this.#store.checks.delete(id);",
    replace: "return this.#store.checks.has(id);",
    test: "E13 consensus is evaluated anew",
    files: E12,
  },
  {
    file: "gossiper/consensus.ts",
    find: "    if (!this.#callbacks.delete(id)) return false;\n",
    replace: "    if (!this.#callbacks.has(id)) return false;\n",
    test: "R11.4",
    files: R11,
  },
];
