import { assertEquals, assertGreater } from "../../deps/std_assert.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import { eventually, Program } from "../process/program.ts";

const CONFIG = {
  gossipInterval: 100,
  gossipRequestTimeout: 500,
  heartbeatExpiration: 4_000,
  maxBackoff: 300,
};
const IDS = ["a", "b", "c", "d", "e"];

/** Members in processes, and their output. */
class Members implements AsyncDisposable {
  readonly #programs: readonly Program[];

  private constructor(programs: readonly Program[]) {
    this.#programs = programs;
  }

  static async started(keys: readonly string[]): Promise<Members> {
    const options = { port: 0, config: CONFIG, authentication: { keys } };
    const first = Program.member({ id: "a", seeds: [], ...options });
    const [, address] = await first.until(/"listening","address":"([^"]+)"/);
    const others = IDS.slice(1).map((id) => Program.member({ id, seeds: [address!], ...options }));
    const members = new Members([first, ...others]);
    await members.hearEachOther("first");
    return members;
  }

  /** Sets the keys of one member after another; after each, updates must reach all members. */
  async rotate(keys: readonly string[], name: string): Promise<void> {
    for (const [index, program] of this.#programs.entries()) {
      const before = program.lines.filter((line) => line.includes('"type":"keys"')).length;
      await program.type(`keys ${keys.join(",")}`);
      await eventually("the keys are set", () => {
        return Promise.resolve(
          program.lines.filter((line) => line.includes('"type":"keys"')).length > before,
        );
      });
      await this.hearEachOther(`${name}-${index}`);
    }
  }

  async hearEachOther(value: string): Promise<void> {
    for (const [index, program] of this.#programs.entries()) await program.type(`set ${value}-${IDS[index]}`);
    for (const [index, program] of this.#programs.entries()) {
      for (const of of IDS) {
        if (of === IDS[index]) continue;
        await eventually(`${IDS[index]} receives ${value} of ${of}`, () => {
          return Promise.resolve(program.lines.some((line) => line.includes(`"value":"${value}-${of}"`)));
        });
      }
    }
  }

  /** The events of a type, of all members. */
  printed(type: string): string[] {
    return this.#programs.flatMap(({ lines }) => lines.filter((line) => line.includes(`"type":"${type}"`)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#programs) await program[Symbol.asyncDispose]();
  }
}

Deno.test("setKeys: rotates the key of five live processes: no member is blocked or refused, and the old key is refused afterwards", async () => {
  const [old, young] = [await newClusterKey(), await newClusterKey()];
  await using members = await Members.started([old]);
  await members.rotate([old, young], "both");
  await members.rotate([young, old], "turned");
  await members.rotate([young], "new");
  assertEquals([
    members.printed("MemberBlocked"),
    members.printed("ClientRefused"),
    members.printed("SelfBlocked"),
  ], [
    [],
    [],
    [],
  ]);
  // A member that missed the rotation is refused.
  const [listening] = members.printed("listening");
  const late = { id: "late", port: 0, seeds: [JSON.parse(listening!).address], config: CONFIG };
  await using stranger = Program.member({ ...late, authentication: { keys: [old] } });
  await stranger.until(/"SeedFailed".*"unauthorized"/);
  await eventually(
    "ClientRefused is emitted",
    () => Promise.resolve(members.printed("ClientRefused").length > 0),
  );
  assertGreater(
    members.printed("ClientRefused").filter((line) => line.includes("must be signed with a key")).length,
    0,
  );
});
