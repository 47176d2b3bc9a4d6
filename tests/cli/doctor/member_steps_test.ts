import { assertEquals, assertMatch } from "../../../deps/std_assert.ts";
import type { Diagnosis } from "../../../cli/doctor/findings.ts";
import { judgeAsSeen, judgeRoom, judgeSelf } from "../../../cli/doctor/member_steps.ts";
import type { SeedStatus } from "../../../contracts/cluster.ts";
import type { Decision, Explanation } from "../../../contracts/explanation.ts";
import type { Facts } from "../../../observer/protocol.ts";
import { DEFAULT_CONFIG } from "../../../options/configuration.ts";

const NOW_MS = 1_700_000_000_000;
const EXPLANATION: Explanation = {
  memberId: "ada",
  status: "alive",
  sinceUnixMilliseconds: null,
  summary: "It is this member.",
  endsWhen: "It stops.",
  heartbeat: null,
  isConnected: false,
  lacks: 0,
  decisions: [],
};

/** Facts of a healthy member `ada` with one other member. */
function facts(changes: Partial<Facts> = {}): Facts {
  return {
    version: "0.2.0",
    cluster: "orders",
    self: "ada",
    address: "ws://127.0.0.1:7001/gossip",
    wallMs: NOW_MS,
    phase: "confirmed",
    isolated: false,
    fenced: false,
    leaving: false,
    hasKeys: false,
    signs: false,
    settings: DEFAULT_CONFIG,
    counts: { alive: 2, suspected: 0, failed: 0, left: 0 },
    room: { bytes: 0, dropped: 0, refused: 0 },
    observers: 1,
    blocked: [],
    seeds: [],
    explanation: EXPLANATION,
    troubles: [],
    ...changes,
  };
}

const ALONE = { counts: { alive: 1, suspected: 0, failed: 0, left: 0 } };

function decision(kind: Decision["kind"], atMs: number, more: Partial<Decision> = {}): Decision {
  return { kind, times: 1, atUnixMilliseconds: atMs, lastAtUnixMilliseconds: atMs, ...more };
}

function seed(outcome: SeedStatus["outcome"], reason: string | null = null): SeedStatus {
  return { address: "ws://127.0.0.1:7009", outcome, reason, memberId: null } as SeedStatus;
}

function judged(judge: (diagnosis: Diagnosis) => void): Diagnosis {
  const diagnosis: Diagnosis = { subject: "ada", steps: [] };
  judge(diagnosis);
  return diagnosis;
}

Deno.test("judgeSelf: names the reason why a running member is alone", () => {
  const blocked = decision("selfBlocked", NOW_MS - 5_000, { reason: "expired", peerId: "ben" });
  const cases: readonly (readonly [Partial<Facts>, string | undefined, RegExp])[] = [
    [{}, undefined, /It is this member\./],
    [{ fenced: true }, "identity", /Another process uses this member's id and key/],
    [{ leaving: true }, "stopped", /leaves the cluster/],
    [
      { ...ALONE, explanation: { ...EXPLANATION, decisions: [blocked] } },
      "blocked",
      /"ben" blocks this member/,
    ],
    [
      {
        ...ALONE,
        explanation: { ...EXPLANATION, decisions: [decision("selfBlocked", NOW_MS, { reason: "topology" })] },
      },
      "blocked",
      /The discovery blocks this member/,
    ],
    [
      { isolated: true, seeds: [seed("failed", "It has no token (401).")] },
      "isolated",
      /It is this member\./,
    ],
    [
      { ...ALONE, blocked: [{ id: "ben", reason: "expired", sinceMs: NOW_MS - 3_000 }] },
      "blocked",
      /blocks every other member that it knows: "ben" \(expired\)/,
    ],
    [ALONE, "alone", /names no other member/],
    [
      { ...ALONE, seeds: [seed("failed", "odd"), seed("self")] },
      "unreachable",
      /1 of 2 seeds failed/,
    ],
    [{ ...ALONE, seeds: [seed("self")] }, "alone", /./],
  ];
  for (const [changes, code, seen] of cases) {
    const { fault, steps } = judged((diagnosis) => judgeSelf(diagnosis, facts(changes)));
    assertEquals(fault?.code, code, JSON.stringify(changes));
    assertMatch(fault?.seen ?? steps[0]!.seen, seen);
  }
});

Deno.test("judgeSelf: marks a fault that another process may cause, and no other fault", () => {
  const blocks = (reason: "crashed" | "topology") => ({
    ...ALONE,
    blocked: [{ id: "ben", reason, sinceMs: NOW_MS }],
  });
  const isBlocked = (reason: string): Partial<Facts> => ({
    ...ALONE,
    explanation: { ...EXPLANATION, decisions: [decision("selfBlocked", NOW_MS, { reason, peerId: "ben" })] },
  });
  const cases: readonly (readonly [Partial<Facts>, boolean])[] = [
    [{ isolated: true }, true],
    [blocks("crashed"), true],
    [blocks("topology"), false],
    [isBlocked("expired"), true],
    [isBlocked("topology"), false],
    [{ ...ALONE, seeds: [seed("failed", "connection refused")] }, true],
    [{ ...ALONE, seeds: [seed("failed", "It has no token (401).")] }, false],
    [{ ...ALONE, seeds: [seed("failed", "odd")] }, true],
    [ALONE, false],
    [{ fenced: true }, false],
  ];
  for (const [changes, isEffect] of cases) {
    const { fault } = judged((diagnosis) => judgeSelf(diagnosis, facts(changes)));
    assertEquals(fault!.isEffect === true, isEffect, JSON.stringify(changes));
  }
});

Deno.test("judgeSelf: notes blocked members, failed seeds, a seed that leads to itself, and states without room", () => {
  const { fault, steps } = judged((diagnosis) =>
    judgeSelf(
      diagnosis,
      facts({
        blocked: [{ id: "cleo", reason: "crashed", sinceMs: NOW_MS - 60_000 }, {
          id: "dan",
          reason: "left",
          sinceMs: NOW_MS,
        }],
        seeds: [seed("failed", "connection refused"), seed("self")],
        room: { bytes: 1, dropped: 2, refused: 3 },
      }),
    )
  );
  assertEquals(fault, undefined);
  assertEquals(steps.map(({ name, outcome }) => `${name} ${outcome}`), [
    "member ok",
    "limits note",
    "blocked note",
    "seed note",
    "seed note",
  ]);
  assertMatch(steps[1]!.seen, /^3 states of others found no room since its start, and 2 were dropped\.$/);
  assertMatch(steps[2]!.seen, /^It blocks "cleo" \(crashed\) for 1 min 0 s\.$/);
  assertMatch(steps[4]!.seen, /leads to this member itself/);
});

Deno.test("judgeAsSeen: a peer's block and its last refusal are faults; a later join is none", () => {
  const of = (decisions: readonly Decision[], more: Partial<Facts> = {}) =>
    judged((diagnosis) =>
      judgeAsSeen(diagnosis, {
        id: "ben",
        explanation: { ...EXPLANATION, decisions },
        facts: facts(more),
      })
    );
  const refused = decision("refused", NOW_MS - 2_000, { reason: "wrong cluster" });
  assertMatch(of([refused]).fault!.seen, /^"ada" refused "ben" at .*: wrong cluster$/);
  assertEquals(of([refused, decision("joined", NOW_MS - 1_000)]).fault, undefined);
  const block = { id: "ben", reason: "expired", sinceMs: NOW_MS } as const;
  assertMatch(of([], { blocked: [block] }).fault!.seen, /^"ada" blocks "ben" \(expired\) since /);
});

Deno.test("judgeRoom: a full cluster takes no new member", () => {
  const room = (alive: number) =>
    judged((diagnosis) =>
      judgeRoom(
        diagnosis,
        facts({
          counts: { alive, suspected: 0, failed: 0, left: 0 },
          settings: { ...DEFAULT_CONFIG, maxMembers: 3 },
        }),
      )
    );
  assertMatch(room(2).steps[0]!.seen, /it has 2 of at most 3/);
  assertEquals(room(3).fault?.code, "full");
});
