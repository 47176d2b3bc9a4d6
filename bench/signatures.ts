/**
 * Cost of signing a member's state and of verifying it, each once per round, by the size of the state.
 *
 * @module
 */

import type { SignedState } from "../engine/types.ts";
import { ed25519Signing, newSigningKey } from "../security/ed25519.ts";
import { signedText } from "../contracts/signing.ts";
import { measure } from "./measure.ts";
import { duration, type Report } from "./report.ts";

const KEYS = [10, 100, 1_000];

/** Measures signing and verifying, both with the text to sign. */
export async function benchSignatures(report: Report): Promise<void> {
  const signing = await ed25519Signing(await newSigningKey());
  const subjects = await Promise.all(KEYS.map(async (count) => {
    const claim = signedStateWith(count);
    const text = signedText("bench", claim);
    const by = { publicKey: signing.publicKey, signature: await signing.sign(text) };
    return [
      { name: `text ${count}`, run: () => void signedText("bench", claim) },
      { name: `sign ${count}`, run: async () => void await signing.sign(signedText("bench", claim)) },
      { name: `verify ${count}`, run: async () => void await signing.verify(signedText("bench", claim), by) },
    ];
  }));
  const medians = await measure(subjects.flat());
  const ms = (name: string) => medians.get(name)!;
  report.table(
    "Signing and verifying a member's state once",
    KEYS.flatMap((count) => [
      { what: `signing ${count} keys`, value: duration(ms(`sign ${count}`)) },
      { what: `verifying ${count} keys`, value: duration(ms(`verify ${count}`)) },
      { what: `of which the text of ${count} keys`, value: duration(ms(`text ${count}`)) },
    ]),
  );
  report.note(
    "A member signs after a set. It verifies each other member at most once per round.",
  );
}

/** The state of a member with this many keys of about fifty bytes. */
function signedStateWith(count: number): SignedState {
  const entries = Array.from({ length: count }, (_, index) => {
    const value = { cpu: 0.25, at: "somewhere", index };
    return {
      key: `key-${index}`,
      number: index + 1,
      type: "google.protobuf.Value",
      value,
      json: JSON.stringify(value),
    };
  });
  return { id: "member-1", incarnation: "018bcfe56800-1f3a9c02", number: count, entries };
}
