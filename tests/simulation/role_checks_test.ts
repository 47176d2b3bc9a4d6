import { assertEquals } from "../../deps/std_assert.ts";
import { candidateSetOf } from "../../roles/candidates.ts";
import type { LeaderAnswer } from "../../roles/mod.ts";
import { CheckContext, type InvariantCheckerOptions } from "./invariants/check_context.ts";
import { RoleChecks } from "./invariants/role_checks.ts";
import type { Process } from "./process.ts";

const KEY = "roles.leader";
const SETTINGS = { atLeast: 2, settle: 1_000, heardWithin: 1_500 };
/**
 * The longest time with two leaders: `heardWithin`, less `settle`; 250 ms until the next look, 100 ms for messages, 4 % of
 * both settings for clocks and 20 ms for timers.
 */
const MOST_MS = 1_500 - 1_000 + 250 + 100 + 100 + 20;

/** A process that sees these members, and reported them as candidates under this epoch. */
class FakeProcess {
  activeMs = 0;
  readonly isOver = false;
  readonly frozenMs = 0;
  readonly gossiper: Process["gossiper"];
  answer: LeaderAnswer = { state: "unknown", reason: "unsettled" };

  constructor(
    readonly id: string,
    { sees, epoch }: { readonly sees: readonly string[]; readonly epoch: number },
  ) {
    let view = "";
    const gossiper = {
      id,
      members: sees.map((each) => ({
        id: each,
        status: "alive",
        member: { id: each, kinds: [] },
        isSelf: each === id,
        incarnation: "1",
      })),
      getState: () => new Map(sees.map((each) => [each, { value: { epoch, view } }])),
    };
    this.gossiper = gossiper as unknown as Process["gossiper"];
    view = candidateSetOf(this.gossiper, KEY, { kind: undefined, zone: undefined, wallMs: 0 }).hash;
  }
}

/** Three members: `early` leads among all, then `late` among itself and `other`. */
function twoLeaders() {
  const early = new FakeProcess("early", { sees: ["early", "late", "other"], epoch: 1 });
  const late = new FakeProcess("late", { sees: ["late", "other"], epoch: 2 });
  const other = new FakeProcess("other", { sees: ["late", "other"], epoch: 2 });
  const all = [early, late, other];
  const violations: string[] = [];
  const checks = new RoleChecks(
    new CheckContext({
      roles: SETTINGS,
      underWayMs: 100,
      processes: { alive: all },
      onViolation: (_: unknown, text: string) => void violations.push(text),
    } as unknown as InvariantCheckerOptions),
  );
  const processOf = (process: FakeProcess) => process as unknown as Process;
  const note = (process: FakeProcess, answer: LeaderAnswer) => {
    process.answer = answer;
    checks.noteLeader(processOf(process), answer);
  };
  for (const process of all) {
    checks.join(
      processOf(process),
      {
        leader: {
          get current() {
            return process.answer;
          },
        },
        owners: { of: () => ({ state: "unknown", reason: "unsettled" }) },
      } as unknown as Parameters<RoleChecks["join"]>[1],
    );
  }
  return {
    violations,
    /** Lets both run for this time. */
    pass: (ms: number) => all.forEach((process) => process.activeMs += ms),
    begin: () => {
      note(early, { state: "known", leader: "early", epoch: 1, isSelf: true });
      note(late, { state: "known", leader: "late", epoch: 2, isSelf: true });
      // Without a log of changes every agreement lacks its reports.
      violations.length = 0;
    },
    end: () => note(early, { state: "unknown", reason: "unheard" }),
    sweep: () => checks.sweep(),
  };
}

Deno.test("role checks: a former leader may lead beside the next leader for the stated time, and no longer", () => {
  for (const how of ["end", "sweep"] as const) {
    const cluster = twoLeaders();
    cluster.begin();
    cluster.pass(MOST_MS);
    cluster[how]();
    assertEquals(cluster.violations, []);
  }
  for (const how of ["end", "sweep"] as const) {
    const cluster = twoLeaders();
    cluster.begin();
    cluster.pass(MOST_MS + 1);
    cluster[how]();
    assertEquals(cluster.violations, ["it holds leader for 971 ms beside early (970 allowed)"]);
  }
});
