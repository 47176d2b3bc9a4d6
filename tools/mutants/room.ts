import type { Mutant } from "../mutant_run.ts";

const ROOM = ["tests/unit/engine/e15_room_test.ts"];
const ESTIMATE = ["tests/unit/engine/heap_estimate_test.ts"];
const SIGNATURES = ["tests/security/signatures_test.ts"];

/** Breaks of what makes room for others: who goes, who comes, how much is counted, and what is told of it. */
export const MUTANTS: readonly Mutant[] = [
  {
    file: "engine/room.ts",
    find: "const victim = this.#held.hasMet(id) ? this.#leastTrusted(isHeld, now) : this.#longGone(now);",
    replace: "const victim = this.#leastTrusted(isHeld, now);",
    test: "room: a handshake takes a place of hearsay",
    files: ROOM,
  },
  {
    file: "engine/room.ts",
    find: "for (const id of this.#held.byHearsay()) if (mayGo(id)) newest = id;",
    replace: "for (const id of this.#held.byHearsay()) if (mayGo(id)) newest ??= id;",
    test: "room: a handshake takes a place of hearsay",
    files: ROOM,
  },
  {
    file: "engine/room.ts",
    find: "departures.goneUntil(monotonicMs - heartbeatExpiration)",
    replace: "departures.goneUntil()",
    test: "room: hearsay takes the place of hearsay that was not active",
    files: ROOM,
  },
  {
    file: "engine/room.ts",
    find: "for (const id of this.#membership.departures.goneUntil()) if (mayGo(id)) return id;",
    replace: "",
    test: "room: a member that departed makes place",
    files: ROOM,
  },
  {
    file: "engine/room.ts",
    find: "const above = isMet && isSmall ? 0 : wanted;",
    replace: "const above = wanted;",
    test: "room: a member that shook hands takes the place of hearsay",
    files: ROOM,
  },
  {
    file: "engine/room.ts",
    find: "(isMet ? this.#held.largest({ met: true, above: wanted, except: id }) : undefined)",
    replace: "undefined",
    test: "room: ids of one insider that shook hands",
    files: ROOM,
  },
  {
    file: "engine/room.ts",
    find: "if (wanted <= Math.max(left(), this.#held.bytesOf(id))) return wanted;",
    replace: "return wanted;",
    test: "room: hearsay above maxHeldBytes is refused",
    files: ROOM,
  },
  {
    file: "engine/room.ts",
    find: "      this.#rest(victim, now);\n",
    replace: "",
    test: "room: a state that was dropped for its size rests",
    files: ROOM,
  },
  {
    file: "engine/room.ts",
    find: "if (isActive) this.#store.drop(memberId);\n    else this.#membership.displace(memberId);",
    replace: "this.#membership.displace(memberId);",
    test: "room: ids of one insider that shook hands",
    files: ROOM,
  },
  {
    file: "engine/room.ts",
    find: "|| nowMs - this.#toldDropMs < this.#settings.heartbeatExpiration) return;",
    replace: ") return;",
    test: "room: one event tells of the first drop",
    files: ROOM,
  },
  {
    file: "engine/room.ts",
    find: "if (this.#told.has(memberId) || this.#told.size >= MAX_TOLD) return;",
    replace: "if (this.#told.size >= MAX_TOLD) return;",
    test: "room: the refusal of a member is told once",
    files: ROOM,
  },
  {
    file: "engine/membership.ts",
    find: "if (!this.#byGreeting) this.#store.held.meet(id);",
    replace: "",
    test: "room: members of a topology that does not come from peers",
    files: ROOM,
  },
  {
    file: "engine/membership.ts",
    find: "if (this.#byGreeting && this.#topology.delete(id)) {",
    replace: "if (!this.#byGreeting) {",
    test: "room: a handshake takes a place of hearsay",
    files: ROOM,
  },
  {
    file: "engine/store.ts",
    find: "    this.held.remove(id);\n",
    replace: "",
    test: "room: counts what is held of others",
    files: ROOM,
  },
  {
    file: "engine/store.ts",
    find: "if (member.id !== this.#selfId) this.held.update(member);",
    replace: "this.held.update(member);",
    test: "room: counts what is held of others",
    files: ROOM,
  },
  {
    file: "engine/heap_estimate.ts",
    find: "while (end > 0 && isEscaped(json, end))",
    replace: "while (false)",
    test: "heap estimate: what stands in a text",
    files: ESTIMATE,
  },
  {
    file: "engine/heap_estimate.ts",
    find: "return (index - before) % 2 === 1;",
    replace: "return index > before;",
    test: "heap estimate: what stands in a text",
    files: ESTIMATE,
  },
  {
    file: "gossiper/key_bindings.ts",
    find: "const keys = met ? this.#met : this.#heard;",
    replace: "const keys = this.#heard;",
    test: "bindings of those that greeted are not forgotten",
    files: SIGNATURES,
  },
];
