import { assertEquals } from "../../../deps/std_assert.ts";
import { Awareness, Doc, protocol } from "../../../deps/yjs.ts";
import { entryOf, updateOf } from "../../../adapters/yjs/awareness_entry.ts";

Deno.test("awareness update: has the bytes that y-protocols encodes, for counts of any size and any text", () => {
  const doc = new Doc();
  const awareness = new Awareness(doc);
  const states = [{}, { name: "Ada" }, { text: "\u{1f426} ü".repeat(100) }];
  const counts = [0, 1, 127, 128, 16_383, 16_384, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];
  for (const clientId of counts) {
    for (const clock of counts) {
      for (const state of states) {
        awareness.meta.set(clientId, { clock, lastUpdated: 0 });
        const encoded = protocol.encodeAwarenessUpdate(awareness, [clientId], new Map([[clientId, state]]));
        assertEquals(updateOf({ clientId, clock, state }), encoded);
      }
    }
  }
  doc.destroy();
});

Deno.test("awareness entry: counts begin at 0, and only the state counts against the limit", () => {
  const entry = { clientId: 0, clock: 0, state: {} };
  assertEquals(entryOf({ ...entry, more: "x".repeat(100) }, { maxBytes: 2 }), entry);
});
