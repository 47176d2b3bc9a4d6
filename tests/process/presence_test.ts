import { assert, assertEquals, assertLessOrEqual } from "../../deps/std_assert.ts";
import { eventually, Program } from "./program.ts";

/** A person in a terminal. */
interface Person {
  readonly program: Program;
  readonly address: string;
}

async function person(name: string, ...args: readonly string[]): Promise<Person> {
  const program = await Program.example("presence", "--name", name, "--expiration", "2000", ...args);
  const [, address = ""] = await program.until(/Listening at (\S+)/);
  return { program, address };
}

/** Resolves when the last list of each is this one. */
async function seen(list: string, people: readonly Person[]): Promise<void> {
  for (const { program } of people) {
    await eventually(`"${list}" is shown`, () => {
      const last = program.lines.findLast((line) => line.startsWith("Here: "));
      return Promise.resolve(last === `Here: ${list}`);
    });
  }
}

/** Three people who see each other. */
async function three(...args: readonly string[]): Promise<readonly [Person, Person, Person]> {
  const ada = await person("Ada", ...args);
  const ben = await person("Ben", "--seed", ada.address);
  const cleo = await person("Cleo", "--seed", ada.address);
  await seen("Ada, Ben, Cleo", [ada, ben, cleo]);
  return [ada, ben, cleo];
}

Deno.test("presence example: has under 120 lines", async () => {
  const text = await Deno.readTextFile(new URL("../../examples/presence.ts", import.meta.url));
  assertLessOrEqual(text.split("\n").length - 1, 119);
});

Deno.test("presence example: a killed process disappears from all lists, and so does a process that left in order", async () => {
  const [ada, ben, cleo] = await three();
  await using _ada = ada.program, _ben = ben.program, _cleo = cleo.program;
  await cleo.program.type("at lunch");
  await seen("Ada, Ben, Cleo (at lunch)", [ada, ben, cleo]);
  ben.program.kill("SIGKILL");
  await seen("Ada, Cleo (at lunch)", [ada, cleo]);
  cleo.program.kill("SIGTERM");
  await seen("Ada", [ada]);
  assertEquals((await cleo.program.ended()).code, 0);
});

Deno.test("presence example: a suspended process disappears, comes back when it resumes, and its own list is then correct", async () => {
  const [ada, ben, cleo] = await three();
  await using _ada = ada.program, _ben = ben.program, _cleo = cleo.program;
  cleo.program.kill("SIGSTOP");
  await seen("Ada, Ben", [ada, ben]);
  ben.program.kill("SIGKILL");
  await seen("Ada", [ada]);
  cleo.program.kill("SIGCONT");
  await seen("Ada, Cleo", [ada, cleo]);
});

Deno.test("presence example: a restarted process is listed once, and finds the others by its file while the seed is down", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [ada, ben, cleo] = await three();
    await using _ada = ada.program, _ben = ben.program, _cleo = cleo.program;
    const file = `${folder}/dora.json`;
    const dora = await person("Dora", "--seed", ada.address, "--file", file);
    await using _dora = dora.program;
    await seen("Ada, Ben, Cleo, Dora", [ada, ben, cleo, dora]);
    await eventually("the file has all three", async () => {
      const text = await Deno.readTextFile(file).catch(() => '{"peers":[]}');
      return JSON.parse(text).peers.length === 3;
    });
    for (const { program } of [dora, ada]) program.kill("SIGKILL");
    await seen("Ben, Cleo", [ben, cleo]);
    const again = await person("Dora", "--seed", ada.address, "--file", file);
    await using _again = again.program;
    await seen("Ben, Cleo, Dora", [ben, cleo, again]);
    assert(!again.program.errors.includes("failed"), again.program.errors);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
