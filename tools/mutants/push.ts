import type { Mutant } from "../mutant_run.ts";

const PUSH = ["tests/unit/engine/push_test.ts"];
const SPREAD = ["tests/unit/spread_test.ts"];
const QUIET = ["tests/unit/engine/quiet_test.ts"];
const E7 = ["tests/unit/engine/e7_limits_test.ts"];
const E12 = ["tests/unit/engine/e12_to_e14_test.ts"];

/** Breaks of pushes, of what rounds repair after them, of the sets of agreeing members, and of deltas that are cut. */
export const MUTANTS: readonly Mutant[] = [
  // What is pushed
  {
    file: "engine/news.ts",
    find: "if (item && !peer.waiting.has(id) && peer.pushedAfter",
    replace: "if (item && peer.pushedAfter",
    test: "push: one that was lost shows as a gap",
    files: PUSH,
  },
  {
    file: "engine/news.ts",
    find: " && peer.pushedAfter(member, 0) < member.held) items.push(item);",
    replace: ") items.push(item);",
    test: "push: sends what the peer is not known to have, and nothing twice",
    files: PUSH,
  },
  {
    file: "engine/news.ts",
    find: "const start = reset ? after : Math.max(peer.pushedAfter(member, after), ",
    replace: "const start = reset ? after : Math.max(after, ",
    test: "push: does not count as acknowledged, and the next round asks whether it arrived",
    files: PUSH,
  },
  {
    file: "engine/exchange.ts",
    find: "      if (!isForeign(life) && !isForeign(peer.life ?? FOREIGN_LIFE)) {\n",
    replace: "      if (!isForeign(life)) {\n",
    test: "push: a peer without incarnations reports no gap",
    files: PUSH,
  },
  {
    file: "engine/exchange.ts",
    find: "        peer.notePushed(delta.id, { life, number });\n",
    replace: "        peer.notePushed(delta.id, { life, number });\n" +
      "        this.#noteHeld(peer, delta.id, { life, number, reset: false });\n",
    test: "push: does not count as acknowledged",
    files: PUSH,
  },
  {
    file: "engine/exchange.ts",
    find:
      "    // A push that was under way when the last connection broke may be lost.\n    peer.forgetPushes();\n",
    replace: "",
    test: "push: one that was lost with a connection is sent again",
    files: PUSH,
  },
  {
    file: "engine/exchange.ts",
    find: "    peer.forgetPush(id);\n    if (!member) return;\n",
    replace: "    if (!member) return;\n",
    test: "push: one that was lost shows as a gap",
    files: PUSH,
  },
  {
    file: "engine/peer_memory.ts",
    find: "return pushed?.life === member.life ? Math.max(after, pushed.number) : after;",
    replace: "return pushed ? Math.max(after, pushed.number) : after;",
    test: "push: a later incarnation of a member is pushed from its beginning",
    files: PUSH,
  },
  {
    file: "engine/peer_memory.ts",
    find: "    if (pushed.size > MAX_PUSHED) pushed.delete(pushed.keys().next().value!);\n",
    replace: "",
    test: "PeerMemory.notePushed: forgets the oldest push of more than 1,024 members",
    files: ["tests/unit/engine/peer_memory_test.ts"],
  },
  // What is taken, and passed on
  {
    file: "engine/engine.ts",
    find: "}, { passOn: push.relay });",
    replace: "});",
    test: "applyPush: passes on what was news only where it is to be relayed",
    files: PUSH,
  },
  {
    file: "engine/engine.ts",
    find: "      this.#exchange.noteReceived(merging, delta, holds);\n",
    replace: "",
    test: "applyPush: the peer is not told what it pushed itself",
    files: PUSH,
  },
  {
    file: "engine/engine.ts",
    find: "else if (this.#changes.others.size < MAX_CHANGES) this",
    replace: "else this",
    test: "takeChanges: of more than 1,024 changed members the rest is for the rounds",
    files: PUSH,
  },
  {
    file: "engine/engine.ts",
    find: "    if (this.hasChanges) this.#changes = { own: false, others: new Set() };\n",
    replace: "",
    test: "takeChanges: has this member and others, each once, and is empty after",
    files: PUSH,
  },
  {
    file: "engine/engine.ts",
    find: "    }, { passOn: false });\n",
    replace: "    });\n",
    test: "takeChanges: what an interval changes is left for the rounds",
    files: PUSH,
  },
  // When, and to whom
  {
    file: "gossiper/spread.ts",
    find: "const waitMs = Math.max(COLLECT_MS, this.#pushedMs + this.#gapMs - runtime.monotonicMs());",
    replace: "const waitMs = COLLECT_MS;",
    test: "spread: pushes take at most half of the messages",
    files: SPREAD,
  },
  {
    file: "gossiper/spread.ts",
    find: "this.#pushedMs + this.#gapMs - runtime.monotonicMs()",
    replace: "this.#gapMs",
    test: "spread: a change long after the last is not kept waiting by the limit",
    files: SPREAD,
  },
  {
    file: "gossiper/spread.ts",
    find: "const COLLECT_MS = 2;",
    replace: "const COLLECT_MS = 200;",
    test: "spread: a set reaches every member within milliseconds",
    files: SPREAD,
  },
  {
    file: "gossiper/spread.ts",
    find: "if (own && activePeers < DIRECT_MEMBERS) {",
    replace: "if (own && activePeers < 5) {",
    test: "spread: a set reaches every member within milliseconds, in one push per peer",
    files: SPREAD,
  },
  {
    file: "gossiper/spread.ts",
    find: "const relay = sessions.length < activePeers;",
    replace: "const relay = true;",
    test: "spread: a set reaches every member within milliseconds, in one push per peer",
    files: SPREAD,
  },
  {
    file: "gossiper/spread.ts",
    find: "const RELAYS = 2;",
    replace: "const RELAYS = 4;",
    test: "spread: in a large cluster a set is passed on",
    files: SPREAD,
  },
  {
    file: "gossiper/spread.ts",
    find: "for (const session of relays) session.push(changed, { relay: true });",
    replace: "for (const session of relays) session.push(changed, { relay: false });",
    test: "spread: in a large cluster a set is passed on",
    files: SPREAD,
  },
  {
    file: "gossiper/running.ts",
    find: "    this.#spread?.introduce(member.id);\n",
    replace: "",
    test: "spread: members that start together know each other before the second round",
    files: SPREAD,
  },
  // Sets of agreeing members
  {
    file: "engine/exchange.ts",
    find: " || peer.receivedState !== state || active.size <= 2) return {};",
    replace: " || active.size <= 2) return {};",
    test: "disseminate: says who is known to agree to a peer with the same state",
    files: QUIET,
  },
  {
    file: "engine/exchange.ts",
    find: " || peer.receivedState !== state || active.size <= 2) return {};",
    replace: " || peer.receivedState !== state) return {};",
    test: "disseminate: says who is known to agree to a peer with the same state",
    files: QUIET,
  },
  {
    file: "engine/exchange.ts",
    find: "(id) => id === this.#selfId || agreement.agrees(id, state)",
    replace: "(id) => agreement.agrees(id, state)",
    test: "disseminate: says who is known to agree to a peer with the same state",
    files: QUIET,
  },
  {
    file: "engine/exchange.ts",
    find: " || this.#signs || stateName(digest, active) !== state) return;",
    replace: " || this.#signs) return;",
    test: "applyIncoming: takes a set of agreeing members only from a peer with the same state",
    files: QUIET,
  },
  {
    file: "engine/agreement.ts",
    find: "    if (reported !== sent) this.#countState(reported, change);\n",
    replace: "",
    test: "E12 of a third member it is known by the bitmap of another",
    files: E12,
  },
  {
    file: "engine/agreement.ts",
    find: "if (reported !== sent) this.#countState",
    replace: "if (sent === undefined) this.#countState",
    test: "agreement: what a third member reported stands beside what the peer sent",
    files: ["tests/unit/engine/agreement_test.ts"],
  },
  // Deltas that are cut
  {
    file: "engine/member_state.ts",
    find: "      if (bytes > maxBytes && entries.length > 0) break;\n",
    replace: "",
    test: "E7 a delta that is larger than what a message has left is cut after an entry",
    files: E7,
  },
  {
    file: "engine/member_state.ts",
    find: "if (bytes > maxBytes && entries.length > 0) break;",
    replace: "if (bytes > maxBytes) break;",
    test: "MemberState.deltaAfter: is cut after an entry, and has one at least",
    files: ["tests/unit/engine/member_state_test.ts"],
  },
  {
    file: "engine/member_state.ts",
    find: "if (bytes > maxBytes && entries.length > 0) break;",
    replace: "if (bytes >= maxBytes && entries.length > 0) break;",
    test: "MemberState.deltaAfter: is cut after an entry, and has one at least",
    files: ["tests/unit/engine/member_state_test.ts"],
  },
  {
    file: "engine/member_state.ts",
    find: "this.#certified !== undefined || this.proof !== undefined || this.isForeign;",
    replace: "this.#certified !== undefined || this.isForeign;",
    test: "MemberState.deltaAfter: cuts no signed state",
    files: ["tests/unit/engine/member_state_test.ts"],
  },
];
