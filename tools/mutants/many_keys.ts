import type { Mutant } from "../mutant_run.ts";

const MANY = ["tests/unit/engine/many_keys_test.ts"];
const LIMITS = ["tests/unit/engine/e7_limits_test.ts"];
const SETTINGS = ["tests/unit/shared_settings_test.ts"];

/** Breaks of states in parts, of deletions that are dropped once all know of them, and of the limits of a state. */
export const MUTANTS: readonly Mutant[] = [
  // Parts of a reset
  {
    file: "engine/exchange.ts",
    find:
      "if (isPart) this.#wait(peer, member, { after: hold.number, reset: hold.reset, floor: hold.floor });",
    replace: "if (isPart) this.#wait(peer, member, { after: hold.number, floor: hold.floor });",
    test: "a reset travels in parts",
    files: MANY,
  },
  {
    file: "engine/exchange.ts",
    find: "const isPart = hold.number < hold.end;",
    replace: "const isPart = false;",
    test: "a reset travels in parts",
    files: MANY,
  },
  {
    file: "engine/peer_memory.ts",
    find: "reset && after < member.floor && floor < member.floor ? 0 : after",
    replace: "after",
    test: "a reset begins anew where deletions were forgotten",
    files: MANY,
  },
  {
    file: "engine/member_state.ts",
    find: "      } else if (entry.number > after) {\n",
    replace: "      } else if (entry.number > after + 1) {\n",
    test: "a part of a reset of a state older than what is held",
    files: MANY,
  },
  {
    file: "engine/merge.ts",
    find: "const end = told.reset && !this.#signs ? told.end ?? number : number;",
    replace: "const end = number;",
    test: "a part of a reset of a state older than what is held",
    files: MANY,
  },
  // Deletions that all know of
  {
    file: "engine/exchange.ts",
    find: "if (id === this.#selfId && !isPart) peer.ownHeld",
    replace: "if (id === this.#selfId) peer.ownHeld",
    test: "E5 E7 part of a state acknowledges no value",
    files: ["tests/unit/engine/e5_acknowledged_test.ts"],
  },
  {
    file: "engine/engine.ts",
    find: "this.#store.settle(this.#self, this.#exchange.ownHeldByAll());",
    replace: "this.#store.settle(this.#self, this.#self.held);",
    test: "a deletion is forgotten everywhere once all active members know of it",
    files: MANY,
  },
  {
    file: "engine/engine.ts",
    find: "      this.#settleDeletions();\n",
    replace: "",
    test: "a deletion is forgotten everywhere once all active members know of it",
    files: MANY,
  },
  {
    file: "engine/merge.ts",
    find: "    this.#store.settle(member, settled);\n",
    replace: "",
    test: "what is said to be settled is believed only as far as it is held",
    files: MANY,
  },
  {
    file: "engine/store.ts",
    find: "const settled = Math.min(number, member.held);",
    replace: "const settled = number;",
    test: "what is said to be settled is believed only as far as it is held",
    files: MANY,
  },
  {
    file: "engine/news.ts",
    find: "this.#store.active.has(peer.id) && !peer.waiting.has(id);",
    replace: "this.#store.active.has(peer.id);",
    test: "who was away while deletions were forgotten",
    files: MANY,
  },
  {
    file: "engine/news.ts",
    find: "return isBelieved ? settled : 0;",
    replace: "return isBelieved ? 0 : 0;",
    test: "two who heard of a deletion from its owner alone",
    files: MANY,
  },
  // Limits of a state
  {
    file: "engine/merge.ts",
    find: "size.bytes <= MARGIN * maxStateBytes &&\n        size.sentBytes",
    replace: "size.sentBytes",
    test: "E7 a member's state that is larger than it may be is taken as far as it fits",
    files: LIMITS,
  },
  {
    file: "engine/engine.ts",
    find: "    if (bytes > maxStateBytes) {\n",
    replace: "    if (bytes > maxStateBytes + 1) {\n",
    test: "E7 maxStateBytes is usable to the last byte",
    files: LIMITS,
  },
  {
    file: "engine/exchange.ts",
    find: "const refusals = before.refusals + 1;",
    replace: "const refusals = 0;",
    test: "of a state that is larger than is allowed here the first part is held",
    files: MANY,
  },
  {
    file: "gossiper/shared_settings.ts",
    find: '["maxKeysPerMember", "maxMessageBytes", "maxStateBytes"] as const',
    replace: '["maxKeysPerMember", "maxMessageBytes"] as const',
    test: "maxStateBytes: what is over the smaller member's limit is left out there",
    files: SETTINGS,
  },
];
