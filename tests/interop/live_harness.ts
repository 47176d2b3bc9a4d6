/**
 * What the tests with real members of protoactor-go share: how one is declared, and what is looked at.
 *
 * @module
 */

import { eventually, type MemberProcess } from "./cast.ts";
import { build, whyNoGo } from "./go.ts";

/** Why nothing of Go can be built here; nothing where it can. */
export const withoutGo: string | undefined = await whyNoGo();
if (withoutGo !== undefined) {
  console.log(`SKIPPED: nothing was tested against protoactor-go, for ${withoutGo}.`);
}

let built: Promise<string> | undefined;
const folder = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

/** A test with the program of a Go member; ignored where there is no Go. */
export function live(
  name: string,
  play: (goProgram: string) => Promise<void>,
  { ignore = false }: { readonly ignore?: boolean } = {},
): void {
  Deno.test({
    name,
    ignore: ignore || withoutGo !== undefined,
    fn: async () =>
      await play(await (built ??= build({ program: "member", into: folder, tell: console.error }))),
  });
}

/** Each of the members lists exactly these ids as active. */
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

/** The value of one member under a key, as another holds it: whatever its own form is. */
export async function seen(by: MemberProcess, key: string, of: MemberProcess): Promise<unknown> {
  const held = (await by.state(key))[of.id];
  return held && (held.value ?? held.text);
}

/** Whether one member holds this value of another under a key; what it holds instead where it does not. */
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
