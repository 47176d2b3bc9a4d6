import type { Mutant } from "../mutant_run.ts";

const VECTORS = ["tests/interop/vectors_test.ts"];
const HISTORIES = ["tests/interop/histories_test.ts"];
const DEPARTURES = ["tests/interop/departures_test.ts"];

const IS_READ = "P3 what protoactor-go writes is read";
const IS_WRITTEN = "P3 what was read of protoactor-go is written";

/** Breaks of what is protoactor-go's, and of what is otherwise on purpose. */
export const MUTANTS: readonly Mutant[] = [
  {
    file: "transport/wire_read.ts",
    find: "request.memberId ?? request.fromMemberId",
    replace: "request.memberId",
    test: IS_READ,
    files: VECTORS,
  },
  {
    file: "transport/wire_read.ts",
    find: "request.memberId ?? request.fromMemberId",
    replace: "request.fromMemberId",
    test: IS_READ,
    files: VECTORS,
  },
  {
    file: "transport/wire_any.ts",
    find: "case TYPE.empty:\n      return EMPTY_TEXT;",
    replace: 'case TYPE.empty:\n      return EMPTY_TEXT.replace(`,"value":{}`, "");',
    test: IS_WRITTEN,
    files: VECTORS,
  },
  {
    file: "transport/wire_any.ts",
    find: '${JSON.stringify(kind)}:"${count}"',
    replace: "${JSON.stringify(kind)}:${count}",
    test: IS_WRITTEN,
    files: VECTORS,
  },
  {
    file: "transport/wire_any.ts",
    find: 'for (const name of ["members", "joined", "left"] as const) {',
    replace: 'for (const name of ["members", "joined"] as const) {',
    test: IS_READ,
    files: VECTORS,
  },
  {
    file: "transport/wire_any.ts",
    find: 'if (hash !== "0") value.topologyHash = hash;',
    replace: 'if (hash !== "0") value.topologyHash = String(Number(hash));',
    test: IS_READ,
    files: VECTORS,
  },
  {
    file: "transport/wire_any.ts",
    find: "return { type, ...readJson(any, place) };",
    replace: "return { type, ...readJson(any.value ?? {}, place) };",
    test: IS_READ,
    files: VECTORS,
  },
  {
    file: "transport/wire_write.ts",
    find: 'if (entry.timestampMs) text += `,"localTimestampUnixMilliseconds"',
    replace: 'if (entry.timestampMs) text += `,"localTimestamp"',
    test: IS_WRITTEN,
    files: VECTORS,
  },
  {
    file: "engine/murmur3.ts",
    find: ".sort().sort(byCodePoint)",
    replace: ".sort()",
    test: "E14 the topology hash is protoactor-go's",
    files: VECTORS,
  },
  {
    file: "engine/murmur3.ts",
    find: "return finish64(h1).add(finish64(h2)).toBigInt();",
    replace: "return finish64(h1).toBigInt();",
    test: "E14 the topology hash is protoactor-go's",
    files: VECTORS,
  },
  {
    file: "engine/merge.ts",
    find: "const news = told.entries.filter((entry) => entry.number > held.held);",
    replace: "const news = told.entries;",
    test: "R5.5 a delivery changes here",
    files: HISTORIES,
  },
  {
    file: "engine/merge.ts",
    find: "const news = told.entries.filter((entry) => entry.number > held.held);",
    replace: "const news = told.entries.filter((entry) => entry.number >= held.held);",
    test: "R5.5 a delivery changes here",
    files: HISTORIES,
  },
  {
    file: "engine/merge.ts",
    find: "const news = told.entries.filter((entry) => entry.number > held.held);",
    replace: "const news = told.entries.slice(0, 1).filter((entry) => entry.number > held.held);",
    test: "R5 a history ends here",
    files: HISTORIES,
  },
  {
    file: "engine/engine.ts",
    find: "const entry = { key, number: this.#self.held + 1, type: TYPE.value as string, ...copy };",
    replace: "const entry = { key, number: this.#self.held + 2, type: TYPE.value as string, ...copy };",
    test: "R5 a history ends here",
    files: HISTORIES,
  },
  {
    file: "engine/store.ts",
    find: "if (!isTombstone(entry) || before) this.#emitUpdate(member.id, entry, entry.value);",
    replace: "if (!isTombstone(entry) && !before) this.#emitUpdate(member.id, entry, entry.value);",
    test: "R5.5 a delivery changes here",
    files: HISTORIES,
  },
  {
    file: "engine/exchange.ts",
    find: "return { delta, sent: { peerId, peerLife, retold, members, outcome, state: this.state, bytes } };",
    replace:
      "const sent = { peerId, peerLife, retold, members, outcome, state: this.state, bytes };\n    this.acknowledge(sent, new Map());\n    return { delta, sent };",
    test: "a lost request is sent again",
    files: DEPARTURES,
  },
  {
    file: "engine/exchange.ts",
    find: "if (deltas.length === 0) return;\n    const entries",
    replace: "const entries",
    test: "whether there is something to tell is known",
    files: DEPARTURES,
  },
  {
    file: "engine/selection.ts",
    find: "if (deltas.size === room.members) break;",
    replace: "if (deltas.size > room.members) break;",
    test: "never more than gossipMaxSend",
    files: DEPARTURES,
  },
  {
    file: "engine/membership.ts",
    find: "for (const id of this.departures.takeExpired(now.monotonicMs)) this.#forget(id);",
    replace: "",
    test: "the state of a departed member is dropped",
    files: DEPARTURES,
  },
  {
    file: "engine/membership.ts",
    find: "if (endsWithLife(reason)) this.free(id, now);",
    replace: "if (endsWithLife(reason)) return;",
    test: "a member blocked as expired is freed",
    files: DEPARTURES,
  },
  {
    file: "engine/membership.ts",
    find: "      this.#detector.heartbeat(id, now.monotonicMs);\n      this.#place(id, now);",
    replace: "      this.#place(id, now);",
    test: "a member that never sent a heartbeat expires",
    files: DEPARTURES,
  },
  {
    file: "engine/consensus.ts",
    find: "if (this.#counts.size !== 1 || this.#values.size !== activeMembers) return undefined;",
    replace: "return undefined;",
    test: "a consensus check succeeds",
    files: DEPARTURES,
  },
  {
    file: "gossiper/departure.ts",
    find: "while (told() < wanted && !signal.aborted) {",
    replace: "while (false && told() < wanted && !signal.aborted) {",
    test: "leaving takes the time it needs",
    files: DEPARTURES,
  },
  {
    file: "engine/membership.ts",
    find: "this.#detector.expired(now.monotonicMs, this.#settings.heartbeatExpiration)",
    replace: "this.#detector.expired(now.wallMs, this.#settings.heartbeatExpiration)",
    test: "ages are those of a clock that only goes forward",
    files: DEPARTURES,
  },
];
