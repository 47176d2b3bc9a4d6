import { assert, assertEquals } from "../../deps/std_assert.ts";
import { HISTORIES_FILE, isInOrder, type Lived, replay } from "./histories.ts";

const lived: readonly Lived[] = JSON.parse(Deno.readTextFileSync(HISTORIES_FILE));

Deno.test("R5 a history ends here as protoactor-go's gossip actors ended it", async (t) => {
  assert(lived.length >= 8);
  for (const { history, outcome } of lived) {
    await t.step(history.name, () => assertEquals(replay(history).states, outcome.states));
  }
});

Deno.test("R5.5 a delivery changes here what it changed in protoactor-go, and tells of nothing else", async (t) => {
  const inOrder = lived.filter(({ history }) => isInOrder(history));
  assert(inOrder.length > 2 && inOrder.length < lived.length);
  for (const { history, outcome } of inOrder) {
    await t.step(history.name, () => assertEquals(replay(history).updates, outcome.updates));
  }
});
