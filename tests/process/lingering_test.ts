import { assertEquals } from "../../deps/std_assert.ts";
import { Program } from "./program.ts";

const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 300 };

/** Starts a member, suspends the peer that it dialed, and stops the member. */
async function stoppedBeside(hanging: Program, how: string): Promise<Program> {
  const [, address = ""] = await hanging.until(/"listening","address":"(ws:[^"]*)"/);
  const permissions = ["--no-prompt", "--no-check", "--allow-net=127.0.0.1"];
  const program = new Program({ args: ["run", ...permissions, "tests/process/lingerer.ts", address, how] });
  await program.until(/^met$/);
  hanging.kill("SIGSTOP");
  await program.type("stop");
  await program.until(/^stopped$/, { withinMs: 5_000 });
  return program;
}

Deno.test("stop: Deno.exit() after stop() ends the process at once, even if a peer that it dialed is suspended (R9.4)", async () => {
  await using hanging = Program.member({ id: "ada", port: 0, seeds: [], config: CONFIG });
  await using program = await stoppedBeside(hanging, "exit");
  assertEquals((await program.ended({ withinMs: 3_000 })).code, 0);
});
