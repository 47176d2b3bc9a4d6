import type { Mutant } from "../mutant_run.ts";

const R5 = ["tests/requirements/R5_test.ts"];
const SESSION = ["tests/unit/session_test.ts"];
const GOSSIPER = ["tests/unit/gossiper_test.ts"];
const STREAM = ["tests/unit/latest_stream_test.ts"];
const REQUESTS = ["tests/unit/requests_test.ts"];

/** Breaks of conversations, of what a gossiper does when it is told off, and of streams for slow readers. */
export const MUTANTS: readonly Mutant[] = [
  {
    file: "engine/member_state.ts",
    find: "    this.#byKey.set(entry.key, held);\n",
    replace: "    if (!this.#byKey.has(entry.key)) this.#byKey.set(entry.key, held);\n",
    test: "R5.2 the local value is overwritten",
    files: R5,
  },
  {
    file: "gossiper/answers.ts",
    find: "life === undefined ? { reason } : { reason, life }",
    replace: "{ reason }",
    test: "E1 R10.1 a member that left and comes back",
    files: GOSSIPER,
  },
  {
    file: "gossiper/running.ts",
    find: "core.do((engine, now) => engine.toldLife(life, now));",
    replace: "before;",
    test: "E1 R10.1 a member that left and comes back",
    files: GOSSIPER,
  },
  {
    file: "gossiper/running.ts",
    find: 'if (reason === "expired" || core.engine.life !== before) this.#rounds.greetAtOnce(id);',
    replace: "",
    test: "R10.3 E10 a member that hears that it is blocked",
    files: GOSSIPER,
  },
  {
    file: "gossiper/rounds.ts",
    find: "    if (nowMs - last < this.#options.settings.gossipRequestTimeout) return;\n",
    replace: "",
    test: "R10.3 E10 a member that hears that it is blocked",
    files: GOSSIPER,
  },
  {
    file: "gossiper/rounds.ts",
    find: "    if (core.engine.silenced) return;\n    for (const id of core.engine.dueProbes",
    replace: "    for (const id of core.engine.dueProbes",
    test: "E1 a member whose id is used twice falls silent",
    files: GOSSIPER,
  },
  {
    file: "gossiper/gossiper.ts",
    find: '    this.#failure ??= { error };\n    void this.#end("failed");',
    replace: "    this.#failure ??= { error };",
    test: "R12.1 a gossiper whose transport breaks",
    files: GOSSIPER,
  },
  {
    file: "gossiper/core.ts",
    find: "    if (this.#over) throw this.#over;\n",
    replace: "",
    test: "R12.1 a gossiper whose transport breaks",
    files: GOSSIPER,
  },
  {
    file: "gossiper/gossiper.ts",
    find: 'if (!this.#isStopping) await this.#end("stopped");\n    await this.closed;',
    replace: 'if (this.#running) await this.#end("stopped");',
    test: "R9.3 a gossiper that is disposed of before it was started",
    files: GOSSIPER,
  },
  {
    file: "gossiper/session.ts",
    find: '    if (!this.#peer && this.role === "dialler") {\n',
    replace: "    if (this.#peer === null) {\n",
    test: "P2 a peer that greets first instead of answering",
    files: SESSION,
  },
  {
    file: "gossiper/session.ts",
    find: "if (!this.#peer || this.#peer.id === hello.member.id) return true;",
    replace: "return true;",
    test: "P2 R11.1 a member keeps its id",
    files: SESSION,
  },
  {
    file: "gossiper/session.ts",
    find: "    if (request.question.kind !== kind) {\n",
    replace: "    if (!kind) {\n",
    test: "P6 an answer of another kind",
    files: SESSION,
  },
  {
    file: "gossiper/session.ts",
    find: "    if (this.#unacknowledged.size > MAX_UNACKNOWLEDGED) {\n",
    replace: "    if (this.#unacknowledged.size > 2 * MAX_UNACKNOWLEDGED) {\n",
    test: "E5 of replies that were never acknowledged",
    files: SESSION,
  },
  {
    file: "gossiper/session.ts",
    find: "        await this.#outbox.room();\n",
    replace: "",
    test: "P4 P7 a peer that asks and does not read",
    files: SESSION,
  },
  {
    file: "gossiper/peers.ts",
    find: "    if (newer.peerLife !== older.peerLife) return newer.peerLife > older.peerLife;\n",
    replace: "",
    test: "P4 a later life's connection takes the place",
    files: SESSION,
  },
  {
    file: "gossiper/latest_stream.ts",
    find: "      latest.delete(key);\n",
    replace: "",
    test: "R8.1 what is left for a reader",
    files: STREAM,
  },
  {
    file: "gossiper/latest_stream.ts",
    find: "this.#compactAt = Math.max(KEPT_ITEMS, 2 * this.#items.length);",
    replace: "this.#items = this.#items.slice(-KEPT_ITEMS);",
    test: "R8.1 with more keys than are kept whole",
    files: STREAM,
  },
  {
    file: "gossiper/latest_stream.ts",
    find: "      this.#items = this.#items.slice(this.#head);\n      this.#head = 0;\n    }",
    replace: "      this.#items = this.#items.slice(this.#head);\n    }",
    test: "R8.1 a reader may read one by one",
    files: STREAM,
  },
  {
    file: "gossiper/requests.ts",
    find:
      "    if (this.#late.size > MAX_LATE_REQUESTS) this.#late.delete(this.#late.keys().next().value!);\n",
    replace: "",
    test: "E5 an answer to a request that timed out",
    files: REQUESTS,
  },
  {
    file: "gossiper/requests.ts",
    find: "    while (this.#underWay) await",
    replace: "    if (this.#underWay) await",
    test: "R9.1 whoever waits until no request is under way",
    files: REQUESTS,
  },
  {
    file: "gossiper/random_order.ts",
    find: "    moved.set(other, at(index));\n",
    replace: "",
    test: "R2.2 lots are drawn so that every order",
    files: ["tests/unit/random_order_test.ts"],
  },
  {
    file: "engine/store.ts",
    find: "    this.#places.set(last, place);\n",
    replace: "",
    test: "E6 the peers to draw from",
    files: ["tests/unit/engine/e6_cost_test.ts"],
  },
];
