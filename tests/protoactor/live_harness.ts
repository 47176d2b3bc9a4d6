/**
 * Helpers of tests with real members of protoactor-go.
 *
 * @module
 */

import { eventually, type MemberProcess } from "./processes.ts";
import { build, whyNoGo } from "./go.ts";

/** The reason why Go programs cannot be built here; `undefined` if they can. */
export const withoutGo: string | undefined = await whyNoGo();
if (withoutGo !== undefined) {
  console.log(`SKIPPED: the tests with protoactor-go, because ${withoutGo}.`);
}

let built: Promise<string> | undefined;
const folder = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

/** Declares a test with the program of a Go member; ignored without Go. */
export function live(
  name: string,
  play: (goProgram: string) => Promise<void>,
  { ignore = false }: { readonly ignore?: boolean } = {},
): void {
  Deno.test({
    name,
    ignore: ignore || withoutGo !== undefined,
    fn: async () =>
      await play(await (built ??= build({ program: "member", into: folder, report: console.error }))),
  });
}

/** Waits until each of the members lists exactly these ids as active. */
export async function allList(
  members: readonly MemberProcess[],
  ids = members.map(({ id }) => id),
): Promise<void> {
  const expected = [...ids].sort().join();
  for (const member of members) {
    await eventually(`a ${member.kind} member lists ${ids.length}`, async () => {
      const listed = await member.members();
      return [...listed].sort().join() === expected || listed;
    });
  }
}

/** A member's value at another member, in either form. */
export async function seen(by: MemberProcess, key: string, of: MemberProcess): Promise<unknown> {
  const held = (await by.state(key))[of.id];
  return held && (held.value ?? held.text);
}

/** True if a member has this value of another member's key; otherwise the value that it has. */
export async function isSeen(
  by: MemberProcess,
  key: string,
  of: MemberProcess,
  value: unknown,
): Promise<true | unknown> {
  const found = await seen(by, key, of);
  const text = (each: unknown) => Deno.inspect(each, { sorted: true, depth: 9 });
  return text(found) === text(value) || found;
}
