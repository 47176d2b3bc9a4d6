import { assert, assertEquals } from "../../deps/std_assert.ts";
import { EngineView } from "../../engine/view.ts";
import { makeCluster, note, set, settle, TestClock } from "./harness.ts";

/** Calls every query of a view; returns the number of queries. */
function askAll(view: EngineView): number {
  const properties = Object.entries(Object.getOwnPropertyDescriptors(EngineView.prototype));
  for (const [name, { get, value }] of properties) {
    if (name === "constructor") continue;
    if (get) get.call(view);
    else if (name === "signedStateOf") {
      view.signedStateOf({ id: "b", incarnation: "", after: 0, reset: false, entries: [] });
    } else (value as (...args: unknown[]) => unknown).call(view, "b", "k");
  }
  return properties.length - 1;
}

/** The messages and the view of one engine after some rounds, with or without queries in between. */
function run({ asks }: { readonly asks: boolean }): string {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock);
  const log: unknown[] = [];
  for (let round = 0; round < 5; round++) {
    clock.advance(300);
    set(a, "k", round, clock);
    for (const engine of [a, b!, c!]) {
      if (asks) assert(askAll(engine.view) > 30);
      note(engine, engine.countHeartbeat({}, clock.now));
      log.push(note(engine, engine.tick(clock.now)).events, engine.takeLiveness("c"));
    }
    settle([a, b!, c!], { clock });
    log.push(note(a, a.prepareGossip("b")).delta, a.view.footprint, a.view.phase);
  }
  return JSON.stringify(log);
}

Deno.test("EngineView: no query changes what the engine sends or emits afterwards (R3.1)", () => {
  assertEquals(run({ asks: true }), run({ asks: false }));
});

Deno.test("EngineView.peerKnowledge: counts the entries that an active peer has not acknowledged", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b"], clock);
  settle([a, b!], { clock });
  assertEquals(a.view.peerKnowledge("b"), { lag: 0, hasAll: true });
  set(a, "k", 1, clock);
  set(a, "k", 2, clock);
  assertEquals(a.view.peerKnowledge("b"), { lag: 2, hasAll: false });
  settle([a, b!], { clock });
  assertEquals(a.view.peerKnowledge("b"), { lag: 0, hasAll: true });
  assertEquals([a.view.peerKnowledge("a"), a.view.peerKnowledge("x")], [undefined, undefined]);
});
