import { assertEquals, assertMatch } from "../../deps/std_assert.ts";
import { run } from "./terminal.ts";

/** True if a program is installed. */
function has(program: string): boolean {
  try {
    return new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

const withoutBash = has("bash") ? undefined : "bash is not installed";

Deno.test({
  name: `completions: bash completes commands, flags and types of events${
    withoutBash === undefined ? "" : ` (skipped: ${withoutBash})`
  }`,
  ignore: withoutBash !== undefined,
  async fn() {
    const { output } = await run(["completions", "bash"]);
    const file = await Deno.makeTempFile();
    try {
      await Deno.writeTextFile(file, output);
      const completed = async (...words: string[]) => {
        const script = `source ${file}; COMP_WORDS=(hearsay ${
          words.map((each) => `'${each}'`).join(" ")
        }); ` +
          `COMP_CWORD=${words.length}; _hearsay; echo "\${COMPREPLY[@]}"`;
        const { stdout } = await new Deno.Command("bash", { args: ["-c", script] }).output();
        return new TextDecoder().decode(stdout).trim();
      };
      assertEquals(await completed("mem"), "members");
      assertEquals(await completed("members", "--w"), "--watch");
      assertEquals(await completed("events", "MemberJ"), "MemberJoined");
      assertEquals(await completed("completions", "z"), "zsh");
    } finally {
      await Deno.remove(file);
    }
  },
});

Deno.test("completions: zsh and fish have every command, and quote their texts", async () => {
  const zsh = (await run(["completions", "zsh"])).output;
  const fish = (await run(["completions", "fish"])).output;
  for (const command of ["agent", "doctor", "events", "members", "top"]) {
    assertMatch(zsh, new RegExp(`^    ${command}\\) _arguments`, "m"));
    assertMatch(fish, new RegExp(`^complete -c hearsay -n __fish_use_subcommand -a ${command} -d '`, "m"));
  }
  assertMatch(zsh, /member'\\''s gossipActorName/);
  assertMatch(fish, /member\\'s gossipActorName/);
});

Deno.test("completions: an unknown shell is an error of usage", async () => {
  const { code, errors } = await run(["completions", "tcsh"]);
  assertEquals([code, errors], [2, 'hearsay: The shell must be one of bash, zsh, fish; got "tcsh".\n']);
});
