import { assert, assertEquals, assertNotEquals, assertRejects } from "../../deps/std_assert.ts";
import { eventually, Program } from "./program.ts";
import type { RememberingOptions } from "./remembering_member.ts";

const CONFIG = {
  gossipInterval: 100,
  gossipRequestTimeout: 300,
  heartbeatExpiration: 1_500,
  blockedProbeInterval: 500,
  maxBackoff: 300,
};

/** The first line of a member. */
interface Listening {
  readonly id: string;
  readonly address: string;
  readonly remembered: readonly string[];
  readonly problem: string | null;
}

interface RememberingMember extends Listening {
  readonly program: Program;
}

/** Starts a member with the permissions that it needs. */
async function started(
  folder: string,
  { file, seeds = [] }: Partial<RememberingOptions> & { readonly file: string },
): Promise<RememberingMember> {
  const options: RememberingOptions = { file: `${folder}/${file}`, seeds, config: CONFIG };
  const permissions = [
    "--no-prompt",
    "--no-check",
    "--allow-net=127.0.0.1",
    `--allow-read=${folder}`,
    `--allow-write=${folder}`,
  ];
  const args = ["run", ...permissions, "tests/process/remembering_member.ts", JSON.stringify(options)];
  const program = new Program({ args });
  const [line] = await program.until(/.*"listening".*/);
  return { program, ...JSON.parse(line) as Listening };
}

/** Resolves when exactly these others are alive in the eyes of a member. */
async function seesAlive(
  { program }: RememberingMember,
  ...others: readonly RememberingMember[]
): Promise<void> {
  const expected = JSON.stringify({ type: "alive", ids: others.map(({ id }) => id).sort() });
  await eventually(`it prints ${expected}`, () => {
    const last = program.lines.findLast((line) => line.includes('"alive"'));
    return Promise.resolve(last === expected);
  });
}

async function peersIn(path: string): Promise<readonly string[]> {
  const { peers } = JSON.parse(await Deno.readTextFile(path)) as {
    readonly peers: readonly { id: string }[];
  };
  return peers.map(({ id }) => id).sort();
}

/** Three members, the first of which is the seed of the others. The files have all their peers. */
async function three(folder: string) {
  const seed = await started(folder, { file: "seed.json" });
  const other = await started(folder, { file: "other.json", seeds: [seed.address] });
  const member = await started(folder, { file: "member.json", seeds: [seed.address] });
  await eventually("the file of the third has both peers", async () => {
    const peers = await peersIn(`${folder}/member.json`).catch(() => []);
    return peers.join() === [seed.id, other.id].sort().join();
  });
  return { seed, other, member };
}

Deno.test("memory: a killed member whose only seed is dead finds the third member by its file, under its former id", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { seed, other, member } = await three(folder);
    await using _seed = seed.program, _other = other.program, _member = member.program;
    for (const { program } of [seed, member]) program.kill("SIGKILL");
    await Promise.all([seed, member].map(({ program }) => program.status));
    await seesAlive(other);
    const port = Number(new URL(seed.address).port);
    await assertRejects(() => Deno.connect({ hostname: "127.0.0.1", port }), Deno.errors.ConnectionRefused);
    const again = await started(folder, { file: "member.json", seeds: [seed.address] });
    await using _again = again.program;
    assertEquals([again.id, again.problem], [member.id, null]);
    assertNotEquals(again.address, member.address);
    assertEquals([...again.remembered].sort(), [seed.id, other.id].sort());
    await Promise.all([seesAlive(again, other), seesAlive(other, again)]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("memory: a member that left in order, as its only seed did, comes back under its former id", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { seed, other, member } = await three(folder);
    for (const { program } of [seed, member]) {
      await using _ = program;
      program.kill("SIGTERM");
      assertEquals((await program.ended()).code, 0);
    }
    await using _other = other.program;
    const again = await started(folder, { file: "member.json", seeds: [seed.address] });
    await using _again = again.program;
    await Promise.all([seesAlive(again, other), seesAlive(other, again)]);
    assertEquals(again.id, member.id);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("memory: a second process with the file of a running process gets another id, and does not change the file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const one = await started(folder, { file: "shared.json" });
    await using _one = one.program;
    await eventually(
      "the file exists",
      () => Deno.stat(`${folder}/shared.json`).then(() => true, () => false),
    );
    const two = await started(folder, { file: "shared.json", seeds: [one.address] });
    await using _two = two.program;
    assertNotEquals(two.id, one.id);
    assert(two.problem?.includes("another one uses it"), String(two.problem));
    await Promise.all([seesAlive(one, two), seesAlive(two, one)]);
    await eventually(
      "the file has the second",
      async () => (await peersIn(`${folder}/shared.json`)).includes(two.id),
    );
    await eventually(
      "the log says so",
      () => Promise.resolve(/shared\.json failed: .* used by one/.test(two.program.errors)),
    );
    // The lock of a killed process is free at once.
    one.program.kill("SIGKILL");
    await one.program.status;
    const three = await started(folder, { file: "shared.json" });
    await using _three = three.program;
    assertEquals([three.id, three.problem], [one.id, null]);
    await seesAlive(three, two);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
