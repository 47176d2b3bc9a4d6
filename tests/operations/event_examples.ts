/**
 * An example of each event, with its line in a log.
 *
 * @module
 */

import type { EventType, HearsayEvent } from "../../contracts/event_stream.ts";

/** A client was refused. */
export const CLIENT: Extract<HearsayEvent, { type: "ClientRefused" }> = {
  type: "ClientRefused",
  remote: "10.0.0.9:4000",
  reason: "The token is missing.",
};
/** A member crashed. */
export const FAILURE: Extract<HearsayEvent, { type: "MemberFailed" }> = {
  type: "MemberFailed",
  memberId: "bob",
  reason: "crashed",
};

/** An example of each event, with words of its line and its level. */
export const EXAMPLES: {
  readonly [type in EventType]: readonly [Extract<HearsayEvent, { type: type }>, string, RegExp];
} = {
  AddressShared: [
    { type: "AddressShared", address: "ws://127.0.0.1:1", memberId: "bob" },
    "warn",
    /"ada" is advertised at ws:\/\/127\.0\.0\.1:1, and "bob" answers there too/,
  ],
  Alone: [
    { type: "Alone", seeds: [] },
    "warn",
    /"ada" of cluster "orders" has found no other member for 10 s/,
  ],
  CallbackFailed: [
    { type: "CallbackFailed", where: "actorStatistics", error: new TypeError("no cpu") },
    "warn",
    /^Hearsay: actorStatistics threw TypeError: no cpu\.$/,
  ],
  ClientRefused: [CLIENT, "warn", /a client at 10\.0\.0\.9:4000/],
  ClusterTopology: [
    { type: "ClusterTopology", members: [], blocked: [] },
    "debug",
    /the discovery names 0 members, and blocks 0\./,
  ],
  Confirmed: [{ type: "Confirmed", digest: "5" }, "debug", /every active member holds all/],
  ConflictDetected: [
    {
      type: "ConflictDetected",
      memberId: "bob",
      reason: "value",
      key: "load",
      sequenceNumber: 4,
      peerId: "eve",
    },
    "warn",
    /the state of "bob" \(from "eve"\) differ\. The number 4 has two values, under "load"\./,
  ],
  ConsensusLost: [
    { type: "ConsensusLost", checkId: "consensus-1", key: "k" },
    "debug",
    /no longer agree on "k"/,
  ],
  ConsensusReached: [
    { type: "ConsensusReached", checkId: "consensus-1", key: "k", value: "secret" },
    "debug",
    /all active members agree on "k" \(consensus-1\)\.$/,
  ],
  DiscoveryFailed: [
    { type: "DiscoveryFailed", source: "etcd", error: new Error("no route.") },
    "warn",
    /^Hearsay: etcd failed: no route\. It is asked again, and the members that it named last stay\.$/,
  ],
  Disseminated: [
    { type: "Disseminated", peerId: "bob", members: 2, entries: 1 },
    "debug",
    /sends "bob" 1 entry of 2 members\./,
  ],
  EventsDropped: [
    { type: "EventsDropped", count: 3 },
    "warn",
    /3 events came faster than the log takes them/,
  ],
  GossipUpdate: [
    { type: "GossipUpdate", memberId: "bob", key: "k", value: "secret", sequenceNumber: 7, deleted: false },
    "debug",
    /"bob" set "k" \(number 7\)\.$/,
  ],
  HandshakeRefused: [
    { type: "HandshakeRefused", peerId: "bob", code: "wrong_cluster", reason: "It is of the cluster x." },
    "warn",
    /the peer "bob" was refused \(wrong_cluster\): It is of the cluster x\./,
  ],
  IncarnationRenewed: [
    { type: "IncarnationRenewed", incarnation: "0-1" },
    "info",
    /began the incarnation 0-1/,
  ],
  InvalidValue: [
    { type: "InvalidValue", memberId: "bob", key: "load", issues: ["cpu: expected number, received secret"] },
    "warn",
    /^Hearsay: the value of "bob" under "load" does not fit its schema, and is left out\.$/,
  ],
  Isolated: [{ type: "Isolated" }, "warn", /"ada" of cluster "orders" hears no other member/],
  ListenFailed: [
    { type: "ListenFailed", address: "127.0.0.1:1", error: new Error("too many files") },
    "warn",
    /^Hearsay: 127\.0\.0\.1:1 accepts no connections: too many files\. It tries to listen again every 1000 ms\.$/,
  ],
  MemberBlocked: [
    { type: "MemberBlocked", memberId: "bob", reason: "left" },
    "debug",
    /"bob" gets no gossip from now on \(left\)\./,
  ],
  MemberFailed: [FAILURE, "info", /"bob" failed \(crashed\)\./],
  MemberForgotten: [{ type: "MemberForgotten", memberId: "bob" }, "debug", /all that was kept of "bob"/],
  MemberJoined: [{ type: "MemberJoined", memberId: "bob" }, "info", /^Hearsay: the member "bob" joined\.$/],
  MemberLeft: [{ type: "MemberLeft", memberId: "bob" }, "info", /the member "bob" left\./],
  MemberSuspected: [{ type: "MemberSuspected", memberId: "bob" }, "debug", /"bob" may have crashed/],
  MemberUnblocked: [{ type: "MemberUnblocked", memberId: "bob" }, "debug", /the block of "bob" ended/],
  PhaseChanged: [
    { type: "PhaseChanged", from: "diffusing", to: "confirmed" },
    "debug",
    /the phase is confirmed \(before: diffusing\)/,
  ],
  ReconcilingRequested: [
    { type: "ReconcilingRequested", peerId: "bob" },
    "debug",
    /comparison with "bob" begins/,
  ],
  Rejoined: [{ type: "Rejoined" }, "info", /this member has forgotten all others and is alone/],
  RequestFailed: [
    { type: "RequestFailed", peerId: "bob", error: new Error("It took too long.") },
    "debug",
    /a request to "bob" failed: It took too long\.$/,
  ],
  SeedFailed: [
    { type: "SeedFailed", address: "ws://127.0.0.1:1", error: new Error("refused") },
    "info",
    /no member answered at a seed: ws:\/\/127\.0\.0\.1:1: refused\.$/,
  ],
  SeenChanged: [
    { type: "SeenChanged", key: "load", sequenceNumber: 7, seenBy: 2, of: 3 },
    "debug",
    /2 of 3 members have "load" \(number 7\)\.$/,
  ],
  SeedRecovered: [
    { type: "SeedRecovered", address: "ws://127.0.0.1:1", memberId: "bob" },
    "info",
    /the member "bob" answered at the seed ws:\/\/127\.0\.0\.1:1\.$/,
  ],
  SelfBlocked: [
    { type: "SelfBlocked", reason: "identity" },
    "error",
    /another process uses the id "ada" and its key in the cluster "orders"/,
  ],
  SelfUnreachable: [
    { type: "SelfUnreachable", address: "ws://127.0.0.1:1", error: new Error("refused") },
    "warn",
    /no member answers at ws:\/\/127\.0\.0\.1:1.*Mount `node\.handler` there at \/gossip/,
  ],
  SettingsDiffer: [
    { type: "SettingsDiffer", peerId: "bob", setting: "maxStateBytes", own: 5, theirs: 6, isRefused: false },
    "warn",
    /a setting of "bob" differs: maxStateBytes is 5 here and 6 there\. The member with the lower limit refuses what exceeds it,/,
  ],
  SignatureRefused: [
    { type: "SignatureRefused", memberId: "bob", peerId: "eve", reason: "key" },
    "warn",
    /entries of "bob" from "eve" were refused: another key is bound to the id\./,
  ],
  StateDropped: [
    { type: "StateDropped", memberId: "bob", limit: "maxMembers", count: 2 },
    "warn",
    /the states of 2 members \(last: "bob"\) made room for others, at the limit maxMembers\./,
  ],
  SuspicionEnded: [{ type: "SuspicionEnded", memberId: "bob" }, "debug", /suspected member "bob" answered/],
};
