import { assert, assertEquals } from "../../deps/std_assert.ts";
import { HISTORIES_FILE, isInOrder, type Lived, replay } from "./histories.ts";

const lived: readonly Lived[] = JSON.parse(Deno.readTextFileSync(HISTORIES_FILE));

Deno.test("merge: a committed history leads to the state of protoactor-go's gossip actors (R5)", async (t) => {
  assert(lived.length >= 8);
  for (const { history, outcome } of lived) {
    await t.step(history.name, () => assertEquals(replay(history).states, outcome.states));
  }
});

Deno.test("merge: a delivery emits exactly the updates that it emits in protoactor-go (R5.5)", async (t) => {
  const inOrder = lived.filter(({ history }) => isInOrder(history));
  assert(inOrder.length > 2 && inOrder.length < lived.length);
  for (const { history, outcome } of inOrder) {
    await t.step(history.name, () => assertEquals(replay(history).updates, outcome.updates));
  }
});
