import type { Mutant } from "../mutant_run.ts";

const R7 = ["tests/requirements/R7_test.ts"];
const R8 = ["tests/requirements/R8_test.ts"];
const R9 = ["tests/requirements/R9_test.ts"];
const R10 = ["tests/requirements/R10_test.ts"];
const R11 = ["tests/requirements/R11_test.ts"];

/** Breaks of what a gossiper does with its peers. */
export const MUTANTS: readonly Mutant[] = [
  {
    file: "gossiper/running.ts",
    find: "    known.set(members);\n",
    replace: "",
    test: "R7.1 R7.2 a member that joined",
    files: R7,
  },
  {
    file: "gossiper/running.ts",
    find: 'this.#peers.session(id)?.leave("The peer is no member any more.");',
    replace: "",
    test: "R7.3 a member that left the topology is gossiped to no more",
    files: R7,
  },
  {
    file: "engine/membership.ts",
    find: "this.blocks.free(id);\n      this.#place(id, now);",
    replace: "this.blocks.free(id);",
    test: "R7.3 a member that left the topology is gossiped to no more",
    files: R7,
  },
  {
    file: "gossiper/running.ts",
    find: "    if (wrong) {\n",
    replace: "    if (wrong === null) {\n",
    test: "R7.4 a topology that is none is refused",
    files: R7,
  },
  {
    file: "engine/membership.ts",
    find: 'if (!blockedBefore.has(id)) this.block(id, "topology", now);',
    replace: "",
    test: "R7.1 R10.1 those that a topology names",
    files: R7,
  },
  {
    file: "gossiper/rounds.ts",
    find: "const { gossipRequestTimeout } = this.#options.settings;\n    return",
    replace: "const gossipRequestTimeout = 500;\n    return",
    test: "R8.3 R8.4 a request that takes longer",
    files: R8,
  },
  {
    file: "gossiper/turns.ts",
    find: "taken.size < count;",
    replace: "taken.size <= count;",
    test: "R8.5 each round asks 3 distinct peers",
    files: R8,
  },
  {
    file: "engine/selection.ts",
    find: "deltas.size === room.members",
    replace: "deltas.size > room.members",
    test: "R8.6 at most 2 member states",
    files: R8,
  },
  {
    file: "gossiper/departure.ts",
    find: "if (isTold(id)) return;",
    replace: "return;",
    test: "R9.2 another takes the place",
    files: R9,
  },
  {
    file: "gossiper/departure.ts",
    find: "const wanted = Math.min(fanOut, ids.length);",
    replace: "const wanted = Math.min(1, ids.length);",
    test: "R9.2 when stop resolves, 3 of 4 peers",
    files: R9,
  },
  {
    file: "gossiper/departure.ts",
    find: "if (knows || saysStopped(error) || ",
    replace: "if (knows || ",
    test: "R9.2 members that all leave at once",
    files: R9,
  },
  {
    file: "gossiper/running.ts",
    find: "if (this.#leaving.signal.aborted) return;",
    replace: "",
    test: "R9.2 a peer that heard of the departure from others",
    files: R9,
  },
  {
    file: "gossiper/running.ts",
    find: "isStopping: () => this.#leaving.signal.aborted,",
    replace: "isStopping: () => false,",
    test: "R9.3 while it leaves, a member refuses gossip",
    files: R9,
  },
  {
    file: "gossiper/running.ts",
    find:
      'deadline.signal.addEventListener("abort", () => giveUp.abort(deadline.signal.reason), { once: true });',
    replace: "",
    test: "R9.1 stop is bounded where a peer never answers",
    files: R9,
  },
  {
    file: "gossiper/answers.ts",
    find: 'if (engine.blockedMember(peerId)) return "blocked";',
    replace: "",
    test: "R10.2 gossip of a member that is blocked here is refused",
    files: R10,
  },
  {
    file: "gossiper/rounds.ts",
    find:
      "for (const id of core.engine.dueProbes(core.now())) if (this.#isWithinReach(id)) this.greetLater(id);",
    replace: "",
    test: "R10.2 E10 a blocked member gets greetings",
    files: R10,
  },
  {
    file: "engine/membership.ts",
    find: 'this.block(id, "left", now);\n  }',
    replace: "}",
    test: "R9.2 another takes the place",
    files: R9,
  },
  {
    file: "engine/block_list.ts",
    find: "return !before;",
    replace: "return true;",
    test: "R10.4 what blocks a blocked member again",
    files: R10,
  },
  {
    file: "engine/consensus.ts",
    find: "|| this.#values.size !== activeMembers",
    replace: "",
    test: "R11.2 a member with no value means no consensus",
    files: R11,
  },
  {
    file: "engine/engine.ts",
    find: "if (agreed === check.agreed) continue;",
    replace: "if (agreed === check.agreed && agreed !== undefined) continue;",
    test: "R11.1 R11.2 R11.3 a check is reached",
    files: R11,
  },
  {
    file: "engine/store.ts",
    find: "for (const check of this.checks.values()) check.note(id, undefined);",
    replace: "",
    test: "R11.2 a blocked member is not asked",
    files: R11,
  },
];
