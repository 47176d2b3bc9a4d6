import { assert } from "../../../deps/std_assert.ts";
import { reasonWithout } from "../../discovery/etcd_server.ts";
import { SCENARIOS } from "./browser/scenarios.ts";

const PROGRAM = "chromium";
const without = await reasonWithout(PROGRAM, { args: ["--version"], package: "chromium" });
const BOUND_MS = 90_000;

for (const scenario of Object.keys(SCENARIOS)) {
  const name = `dashboard in Chromium: ${scenario}`;
  const ignore = without !== undefined;
  Deno.test({ name: ignore ? `${name} (skipped: ${without})` : name, ignore, fn: () => run(scenario) });
}

/** Runs a scenario in a process of its own. */
async function run(scenario: string): Promise<void> {
  const main = new URL("browser/main.ts", import.meta.url);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-check", main.href, scenario, await pathOf(PROGRAM)],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    signal: AbortSignal.timeout(BOUND_MS),
  }).output();
  assert(success, new TextDecoder().decode(stderr));
}

/** The path of a program, which the driver wants. */
async function pathOf(program: string): Promise<string> {
  const { stdout } = await new Deno.Command("which", { args: [program], stderr: "null" }).output();
  return new TextDecoder().decode(stdout).trim();
}
