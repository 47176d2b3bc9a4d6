import type { Mutant } from "../mutant_run.ts";

const FOREIGN = ["tests/unit/engine/foreign_test.ts"];
const VALUES = ["tests/unit/protoactor_values_test.ts"];
const CONNECTION = ["tests/unit/protoactor_connection_test.ts"];
const STRANGERS = ["tests/unit/protoactor_strangers_test.ts"];
const SIMULATION = ["tests/simulation/protoactor_test.ts"];
const CALL = ["tests/unit/protoactor_call_test.ts"];
const CONTRACT = ["tests/unit/protoactor_transport_test.ts"];
const UNVERSIONED_PEER = ["tests/unit/engine/unversioned_peer_test.ts"];

/** Breaks of how members without lives are held, and of how they are spoken with. */
export const MUTANTS: readonly Mutant[] = [
  {
    file: "engine/merge.ts",
    find: "return entry.number > (mine?.number ?? 0);",
    replace: "return entry.number > (held?.highest ?? 0);",
    test: "a foreign member's entries are taken key by key, whatever was missed before them",
    files: FOREIGN,
  },
  {
    file: "engine/merge.ts",
    find: "    if (isForeign(life)) return this.#takeForeign(told, mine, telling);\n",
    replace: "",
    test: "E8 a whole state of a foreign member takes away nothing that it does not list",
    files: FOREIGN,
  },
  {
    file: "engine/member_state.ts",
    find: "  override get position(): number {\n    return this.serial;",
    replace: "  override get position(): number {\n    return this.number;",
    test: "what came late of a foreign member goes on although a higher number went on before",
    files: FOREIGN,
  },
  {
    file: "engine/news.ts",
    find: "? { ...delta, entries: delta.entries.filter(({ key }) => key !== HEARTBEAT_KEY) }",
    replace: "? delta",
    test: "E10 of a foreign member that is blocked all goes on but its heartbeat",
    files: FOREIGN,
  },
  {
    file: "engine/exchange.ts",
    find: "if (isForeign) return { life, after: 0, last: held, end: held, reset, floor };",
    replace: "if (isForeign) return { life, after: 0, last: Infinity, end: held, reset, floor };",
    test: "E5 an acknowledgement counts for what was sent of a foreign member, not for what came after",
    files: FOREIGN,
  },
  {
    file: "engine/exchange.ts",
    find: "      this.#memories.settle(peer, member.id);\n      member.noteHeldBy(peer, member.held);\n",
    replace: "",
    test: "what a peer tells of a foreign member does not go back to it, and what it lacks of it goes",
    files: FOREIGN,
  },
  {
    file: "engine/exchange.ts",
    find: "const after = Math.min(...lacked) - 1;",
    replace: "const after = Infinity;",
    test:
      "a peer that tells an earlier entry of a foreign member lacks the later one, whatever it acknowledged",
    files: FOREIGN,
  },
  {
    file: "engine/exchange.ts",
    find: "    if (member.id === peer.id) return;\n",
    replace: "",
    test: "E1 a foreign member is never told of itself",
    files: FOREIGN,
  },
  {
    file: "engine/exchange.ts",
    find:
      "    if (isForeign(mine.life)) return mine.sum === theirs.sum ? undefined : { after: 0, reset: true };\n",
    replace: "",
    test: "E12 two that hold different parts of a foreign member's state find out, and both get all",
    files: FOREIGN,
  },
  {
    file: "engine/store.ts",
    find: "if (isLatest || member.isForeign) this",
    replace: "if (isLatest) this",
    test: "E8 a foreign member's entry without a value deletes, and is kept for as long as the member",
    files: FOREIGN,
  },
  {
    file: "engine/membership.ts",
    find: "number: member.highest }",
    replace: "number: member.entries().next().value.number }",
    test: "E11 what was forgotten of a foreign member comes back only with a higher number",
    files: FOREIGN,
  },
  {
    file: "transport/protoactor/state.ts",
    find: "if (values.length > 0) members.push",
    replace: "members.push",
    test: "no member is told of without an entry: protoactor-go could put nothing into it any more",
    files: VALUES,
  },
  {
    file: "transport/protoactor/state.ts",
    find: "return isHeartbeat ? [{ key, value }, { key: NEW_HEARTBEAT_KEY, value }] : [{ key, value }];",
    replace: "return [{ key, value }];",
    test: "a heartbeat goes out under both names that protoactor-go has had for it, and comes in from either",
    files: VALUES,
  },
  {
    file: "transport/protoactor/numbers.ts",
    find: "return whole >= 1 && whole <= MAX_NUMBER ? whole : undefined;",
    replace: "return whole >= 1 ? whole : undefined;",
    test: "what a Hearsay member set is not taken from a member of protoactor that passes it on",
    files: VALUES,
  },
  {
    file: "transport/protoactor/values.ts",
    find: "const { blocked: _, ...rest } = fields;",
    replace: "const rest = fields;",
    test: "E14 a topology keeps all 64 bits of its hash, and names to protoactor's members nobody as blocked",
    files: VALUES,
  },
  {
    file: "transport/protoactor/values.ts",
    find: "return { ...entry, value: JSON.parse(JSON.stringify(value)) };",
    replace: "return { ...entry, value, json: JSON.stringify(value) };",
    test: "a registered decoder decides how a value is shown, and never what goes on",
    files: VALUES,
  },
  {
    file: "transport/protoactor/go_connection.ts",
    find:
      "    this.#side.ask({ members: [] }, () => {\n      if (this.#isOver) return;\n      this.#say(this.#helloUnder(id));\n      this.#welcomed();\n    });\n",
    replace: "    this.#say(this.#helloUnder(id));\n    this.#welcomed();\n",
    test: "E10 a greeting is answered in a Go member's name only when it has answered itself",
    files: CONNECTION,
  },
  {
    file: "transport/protoactor/go_connection.ts",
    find: "    if (this.#underWay) this.#side.inbox.add(this.#underWay.batch);\n",
    replace: "",
    test: "what was under way when a connection ended is kept for the next",
    files: CONNECTION,
  },
  {
    file: "transport/protoactor/go_connection.ts",
    find: "    this.#side.inbox.add({ members, askers: isExpired ? askers : [] });\n",
    replace: "",
    test: "what was refused is kept, for a Go member tells it only once, and who asked is told at once",
    files: CONNECTION,
  },
  {
    file: "transport/protoactor/go_connection.ts",
    find: "    if (isExpired) return this.#greet();\n",
    replace: "",
    test: "E10 a Go member that is blocked as expired greets anew, and what it told is told again",
    files: CONNECTION,
  },
  {
    file: "transport/protoactor/go_connection.ts",
    find: "    this.#side.ask(stateOf(delta), (state) => {\n",
    replace: "    this.#side.ask(stateOf(delta), () => {});\n    ((state: GossipState | undefined) => {\n",
    test: "E5 a gossip is acknowledged in a Go member's name only when it has answered, however late",
    files: CONNECTION,
  },
  {
    file: "transport/protoactor/go_link.ts",
    find: "GOSSIP_REQUEST.encode({ memberId: this.member.id, state })",
    replace: "GOSSIP_REQUEST.encode({ memberId: self.id, state })",
    test: "what a member of protoactor-go told one Hearsay member reaches the others",
    files: SIMULATION,
  },
  {
    file: "transport/protoactor/go_link.ts",
    find: "    if (outbound.memberId === this.member.id) return this.adopt(outbound);\n",
    replace: "    if (outbound.memberId !== '') return this.adopt(outbound);\n",
    test: "of who says to be another than answers at its address nothing is taken",
    files: STRANGERS,
  },
  {
    file: "transport/protoactor/transport.ts",
    find: "if (!target.id.startsWith(NAME_PREFIX)) return link?.refuse(letter);",
    replace: "if (!target.id.startsWith(NAME_PREFIX)) return;",
    test: "what is sent to an actor that is not here is answered, so that nobody waits for it",
    files: STRANGERS,
  },
  {
    file: "transport/protoactor/transport.ts",
    find: "    this.#dropIdleLinks();\n",
    replace: "",
    test:
      "who comes under ever new ids, and is never found at its address, is remembered for a few of them only",
    files: STRANGERS,
  },
  {
    file: "gossiper/rounds.ts",
    find: "return [...ids.filter(passesOn), ...ids.filter((id) => !passesOn(id))];",
    replace: "return [...ids.filter((id) => !passesOn(id)), ...ids.filter(passesOn)];",
    test: "R9.2 a Hearsay member that leaves is known as left by members of both kinds",
    files: SIMULATION,
  },
  {
    file: "transport/protoactor/hearsay_connection.ts",
    find: '      void this.#sendLast({ kind: "close", info });\n',
    replace: "      void this.#endCall();\n",
    test: "P6 aborting writable closes both ends with its code and reason, after what was sent (protoactor)",
    files: CONTRACT,
  },
  {
    file: "transport/protoactor/call.ts",
    find: "    ending.abort(ENDED);\n",
    replace: "",
    test: "a call that is cancelled before it has connected leaves nothing behind",
    files: CALL,
  },
  {
    file: "transport/protoactor/call.ts",
    find: 'redirect: "error" as const',
    replace: 'redirect: "follow" as const',
    test: "a peer that answers by another place is not followed there",
    files: CALL,
  },
  {
    file: "transport/protoactor/call.ts",
    find: "if (end > size) break;",
    replace: "if (end >= size) break;",
    test: "messages arrive whole, wherever what carries them was cut",
    files: CALL,
  },
  {
    file: "transport/protoactor/go_link.ts",
    find: "    const cancelTimer = runtime.setTimer(connectTimeout, close);\n",
    replace: "    const cancelTimer = () => {};\n",
    test: "R9.4 a stream that the other side does not end is ended by this one",
    files: STRANGERS,
  },
  {
    file: "transport/protoactor/transport.ts",
    find: "!isAddress(peer.address)",
    replace: "!URL.canParse(`http://${peer.address}`)",
    test: "who names more than a host and a port as its address is not answered, and never dialled",
    files: STRANGERS,
  },
  {
    file: "transport/protoactor/transport.ts",
    find: "      this.#spoke(open.call);\n",
    replace: "",
    test: "streams on which nobody speaks keep nobody out: the one that was silent for longest goes",
    files: STRANGERS,
  },
  {
    file: "transport/protoactor/transport.ts",
    find: "this.#linkAt(outbound.memberId, target)",
    replace: "this.#linkTo(outbound.memberId, target)",
    test: "who was named with a wrong address by somebody is written to at the one where it answers",
    files: STRANGERS,
  },
  {
    file: "transport/protoactor/letters.ts",
    find: "    if (!isNamed(target) || sender && !isNamed(sender)) continue;\n",
    replace: "",
    test: "a batch of more letters than anybody sends, or of endless names, ends or answers nothing",
    files: STRANGERS,
  },
  // A member that purges
  {
    file: "engine/engine.ts",
    find: "      for (const id of this.#store.peers) this.#exchange.retell(id);\n",
    replace: "",
    test: "an unversioned peer that purges what it held",
    files: UNVERSIONED_PEER,
  },
  {
    file: "engine/engine.ts",
    find:
      "      for (const id of newTopologies) this.#exchange.retell(id);\n      this.#renewAbove(laterLife, { isSigned: options.verified?.has(this.#id), now });\n      return { holds };\n",
    replace:
      "      this.#renewAbove(laterLife, { isSigned: options.verified?.has(this.#id), now });\n      return { holds };\n",
    test: "an unversioned peer is told all anew when it says",
    files: UNVERSIONED_PEER,
  },
  {
    file: "engine/engine.ts",
    find:
      "      for (const id of newTopologies) this.#exchange.retell(id);\n      this.#renewAbove(laterLife, { isSigned: options.verified?.has(this.#id), now });\n      return {};\n",
    replace:
      "      this.#renewAbove(laterLife, { isSigned: options.verified?.has(this.#id), now });\n      return {};\n",
    test: "an unversioned peer is told all anew when another peer says",
    files: UNVERSIONED_PEER,
  },
  {
    file: "engine/engine.ts",
    find: "if (this.#topologyNumber(each.id) !== topology) newTopologies.add(each.id);",
    replace:
      "if (each.id === peerId && this.#topologyNumber(each.id) !== topology) newTopologies.add(each.id);",
    test: "an unversioned peer is told all anew when another peer says",
    files: UNVERSIONED_PEER,
  },
  {
    file: "engine/exchange.ts",
    find: "    if (peer.retold !== sent.retold) return;\n",
    replace: "",
    test: "an unversioned peer's acknowledgement of what it was sent before its topology changed",
    files: UNVERSIONED_PEER,
  },
];
