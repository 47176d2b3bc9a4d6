import type { Mutant } from "../mutant_run.ts";

const FILE = "engine/merge.ts";
const SIGNED = ["tests/unit/engine/signed_states_test.ts"];
const LIMITS = ["tests/unit/engine/e7_limits_test.ts"];
const GONE = ["tests/unit/engine/e9_to_e11_test.ts"];
const FOREIGN = ["tests/unit/engine/foreign_test.ts"];
const PREFIX = ["tests/unit/engine/e4_prefix_test.ts"];

/** Breaks of how a delta is merged: signed and unsigned, of members forgotten, unversioned and too large. */
export const MUTANTS: readonly Mutant[] = [
  // Where members sign
  {
    file: FILE,
    find: "if (isForeign(life) && this.#signs) return this.refuse(told, telling);",
    replace: "",
    test: "merge: takes no state of an unversioned member, which signs nothing",
    files: SIGNED,
  },
  {
    file: FILE,
    find: "if (this.#signs && told.reset && told.after > 0) return",
    replace: "if (this.#signs && told.reset && told.after > 1) return",
    test: "merge: takes no part of a reset where members sign",
    files: SIGNED,
  },
  {
    file: FILE,
    find: "held ? { life: held.life, number: held.held } : { life, number: 0 }",
    replace: "{ life, number: 0 }",
    test: "merge: takes no part of a reset where members sign",
    files: SIGNED,
  },
  {
    file: FILE,
    find: "told.reset && !this.#signs ? told.end ?? number : number",
    replace: "told.reset ? told.end ?? number : number",
    test: "merge: judges the age of a signed reset by its last entry",
    files: SIGNED,
  },
  {
    file: FILE,
    find: "if (mine && !this.#signs) this.#store.settle(",
    replace: "if (mine) this.#store.settle(",
    test: "merge: forgets no deletion because a peer calls it settled",
    files: SIGNED,
  },
  {
    file: FILE,
    find: "!before?.live(entry.key) && entry !==",
    replace: "entry !==",
    test: "merge: takes deletions of keys that are held, and of others the last alone",
    files: SIGNED,
  },
  {
    file: FILE,
    find: "const before = told.reset ? undefined : mine;",
    replace: "const before = mine;",
    test: "merge: a signed reset brings no deletions but its last entry",
    files: SIGNED,
  },
  {
    file: FILE,
    find: "    const isNews = number > (mine?.held ?? 0);\n",
    replace: "    const isNews = number >= (mine?.held ?? 0);\n",
    test: "merge: raises no floor by what is no news",
    files: SIGNED,
  },
  {
    file: FILE,
    find: "if (mine && (told.reset || !this.#signs)) this",
    replace: "if (mine && !this.#signs) this",
    test: "merge: a signed state with another value under an equal number is a conflict",
    files: SIGNED,
  },
  {
    file: FILE,
    find: "if (news.length > 0) {\n        held.proof",
    replace: "{\n        held.proof",
    test: "merge: passes a state on under the signature that came with its latest entry",
    files: SIGNED,
  },
  {
    file: FILE,
    find: "    member.proof = told.proof;\n",
    replace: "",
    test: "merge: passes a state on under the signature that came with its latest entry",
    files: SIGNED,
  },
  {
    file: FILE,
    find: "maxMessageBytes - 2 * ENVELOPE_BYTES - memberBytes(id)",
    replace: "maxMessageBytes - ENVELOPE_BYTES - memberBytes(id)",
    test: "merge: takes a signed state whole as far as it fits a message",
    files: SIGNED,
  },
  {
    file: FILE,
    find: "if (repaired || this.#signs) return none;",
    replace: "if (repaired) return none;",
    test: "merge: refuses all of a signed state with more keys than are taken",
    files: SIGNED,
  },
  {
    file: FILE,
    find: "if (this.#signs && isForgotten && !isProven)",
    replace: "if (this.#signs && !isProven)",
    test: "merge: a signed state blocks a member only where it was forgotten",
    files: SIGNED,
  },
  {
    file: FILE,
    find: "told.id === peerId || this.#store.active.has(told.id)",
    replace: "told.id === peerId",
    test: "merge: a signed state blocks a member only where it was forgotten",
    files: SIGNED,
  },
  // Lives, prefixes, members that were forgotten
  {
    file: FILE,
    find: "if (memory.life > life) telling.holds.set(told.id, { life: memory.life, number: 0 });",
    replace: "",
    test: "merge: the owner of a forgotten member's earlier life learns of the later one",
    files: GONE,
  },
  {
    file: FILE,
    find: "const before = held?.life ?? this.#membership.departures.memory(told.id)?.life;",
    replace: "const before = this.#membership.departures.memory(told.id)?.life;",
    test: "merge: a later life frees a member, a reset of the same life does not",
    files: GONE,
  },
  {
    file: FILE,
    find: 'blocks.reason(told.id) === "left" : before < life',
    replace: 'blocks.reason(told.id) === "left" : before <= life',
    test: "merge: a later life frees a member that left and was forgotten",
    files: GONE,
  },
  {
    file: FILE,
    find: 'before === undefined ? blocks.reason(told.id) === "left" : before < life',
    replace: "before !== undefined && before < life",
    test: "merge: a later life frees a member that left, also where no memory of it is left",
    files: GONE,
  },
  {
    file: FILE,
    find: "this.#signs && isForgotten && !isProven",
    replace: "isForgotten && !isProven",
    test: "merge: a member that was forgotten is not blocked when it is heard of again",
    files: GONE,
  },
  {
    file: FILE,
    find: "if (told.id === telling.peerId && end < after.held) note(after, telling);",
    replace: "",
    test: "merge: a member that sends less of itself than it once gave out",
    files: PREFIX,
  },
  {
    file: FILE,
    find: "if (mine) this.#learn(mine, told, telling);",
    replace: "this.#learn(mine!, told, telling);",
    test: "merge: a delta without entries of a member that is not held changes nothing",
    files: PREFIX,
  },
  {
    file: FILE,
    find: "if (mine && told.reset && end < mine.held) return",
    replace: "if (mine && end < mine.held) return",
    test: "E3 a lower number is ignored",
    files: ["tests/unit/engine/e3_merge_test.ts"],
  },
  {
    file: FILE,
    find: "        held.raiseFloor({ number: floor, serial: held.changedSerial });\n",
    replace: "",
    test: "merge: a reset that only adds to what is held raises the floor",
    files: ["tests/unit/engine/e8_deleting_test.ts"],
  },
  {
    file: FILE,
    find:
      "if (member) this.#store.replace(member, [], { life, floor: 0, now });\n    this.#membership.laterLife",
    replace:
      "if (member) this.#store.replace(member, [], { life, floor: 1, now });\n    this.#membership.laterLife",
    test: "greeted: a life that a greeting began is passed on as a delta",
    files: ["tests/unit/engine/e1_lives_test.ts"],
  },
  // Unversioned members
  {
    file: FILE,
    find: "if (entry.key === HEARTBEAT_KEY && mine && mine.json === entry.json) return false;",
    replace: "if (mine && mine.json === entry.json) return false;",
    test: "merge: of an unversioned member an equal value under a higher number is news",
    files: FOREIGN,
  },
  {
    file: FILE,
    find: "find((entry) => entry.key === HEARTBEAT_KEY && !isTombstone(entry))",
    replace: "find(({ key }) => key === HEARTBEAT_KEY)",
    test: "merge: an unversioned member's heartbeat is no other entry",
    files: FOREIGN,
  },
  {
    file: FILE,
    find: "mine?.isForeign ? mine.get(key)?.number : mine?.held",
    replace: "mine?.held",
    test: "merge: refuses what exceeds the limits of an unversioned member",
    files: FOREIGN,
  },
  {
    file: FILE,
    find: "const isCut = !this.#signs && !isForeign(life);",
    replace: "const isCut = !this.#signs;",
    test: "merge: refuses an unversioned member's state that fits no message",
    files: FOREIGN,
  },
  // Limits
  {
    file: FILE,
    find: "size.keys <= MARGIN * maxKeysPerMember",
    replace: "size.keys < MARGIN * maxKeysPerMember",
    test: "merge: of a new member as many keys and bytes are taken as fit",
    files: LIMITS,
  },
  {
    file: FILE,
    find: "const last = added[count - 1]?.number ?? 0;",
    replace: "const last = added[count - 1]?.number ?? 1;",
    test: "merge: of a new member as many keys and bytes are taken as fit",
    files: LIMITS,
  },
  {
    file: FILE,
    find: "const into = repaired ? undefined : mine;",
    replace: "const into = mine;",
    test: "merge: a repair by reset is measured by what is held after it",
    files: LIMITS,
  },
  {
    file: FILE,
    find: "return number > (before ?? 0);",
    replace: "return true;",
    test: "merge: old entries of a delta take no room beside the news",
    files: LIMITS,
  },
  {
    file: FILE,
    find: "const repaired = mine && told.reset ? mine.repairedBy(told)",
    replace: "const repaired = mine ? mine.repairedBy(told)",
    test: "merge: a delta that begins below what is held is cut",
    files: LIMITS,
  },
  {
    file: FILE,
    find: "if (mine && !this.#signs) this.#store.settle(mine, told.settled ?? 0);",
    replace: "",
    test: "merge: a word of what is settled makes room for the entries beside it",
    files: ["tests/unit/engine/many_keys_test.ts"],
  },
];
