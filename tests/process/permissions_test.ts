import { assert } from "../../deps/std_assert.ts";
import { freePorts } from "./ports.ts";
import { Program } from "./program.ts";

const CONFIG = {
  gossipInterval: 100,
  gossipRequestTimeout: 300,
  heartbeatExpiration: 1_500,
  maxBackoff: 300,
};

const isTerminalToBeHad = await new Deno.Command("script", { args: ["--version"] }).output()
  .then(({ success }) => success, () => false);

Deno.test({
  name: `permissions: a member on a terminal never prompts for the permission to dial, and keeps running${
    isTerminalToBeHad ? "" : " (skipped: there is no program `script`)"
  }`,
  ignore: !isTerminalToBeHad,
  async fn() {
    const [port, other] = freePorts(2) as [number, number];
    const options = JSON.stringify({ id: "ada", port, seeds: [`ws://127.0.0.1:${other}`], config: CONFIG });
    const args = ["run", "--no-check", `--allow-net=127.0.0.1:${port}`, "tests/process/member.ts", options];
    await using ada = new Program({ args, onTerminal: true });
    await ada.until(/"listening"/);
    await ada.until(new RegExp(`"SeedFailed".*--allow-net=127.0.0.1:${other} is missing`));
    const seeds = [`ws://127.0.0.1:${port}`];
    const ben = Program.member({ id: "ben", port: other, seeds, config: CONFIG });
    {
      await using _ = ben;
      await ben.type("set here");
      await ada.until(/"GossipUpdate".*"ben".*"here"/);
    }
    // Ben is killed. Crash detection makes ada dial it, without the permission.
    await ada.until(/"MemberBlocked","memberId":"ben"/);
    await ada.type("members");
    await ada.until(/"members":\["ada alive","ben failed"\]/);
    assert(!ada.lines.some((line) => line.includes("Allow?")), ada.lines.join("\n"));
  },
});
