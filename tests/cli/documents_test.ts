import { assertEquals } from "../../deps/std_assert.ts";
import { FAULTS } from "../../cli/doctor/findings.ts";
import { EXIT } from "../../cli/failure.ts";
import { programOf } from "../../cli/program.ts";
import { join } from "../../mod.ts";
import { FakeTerminal, run } from "./terminal.ts";

const page = await Deno.readTextFile(new URL("../../docs/operating.md", import.meta.url));
const [, command = ""] = page.split("\n## Command\n");
const [commandPart = "", doctorPart = ""] = command.split("\n## Doctor\n");

/** The first cells of the table whose header begins with these words, without code marks. */
function firstCells(text: string, header: string): string[] {
  const [, table = ""] = text.split(new RegExp(`^\\| *${header} `, "m"));
  return table.split("\n\n")[0]!.split("\n").slice(2).map((row) => row.split("|")[1]!.trim());
}

Deno.test("docs/operating.md: has every command and every exit code, and no other", () => {
  const commands = programOf(new FakeTerminal(), () => {}).commands.map((each) => each.name());
  const shown = firstCells(commandPart, "command").map((cell) => /^`hearsay (\w+)/.exec(cell)?.[1]);
  assertEquals(shown.toSorted(), commands.toSorted());
  assertEquals(firstCells(commandPart, "exit code").map(Number), Object.values(EXIT));
});

Deno.test("docs/operating.md: has the first line of every fault", () => {
  const shown = firstCells(doctorPart, "first line").flatMap((cell) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, title]) => title!)
  );
  assertEquals(shown.toSorted(), Object.values(FAULTS).toSorted());
});

Deno.test("docs/operating.md: its diagnosis is what the command prints", async () => {
  await using node = await join({ cluster: "orders", id: "ada", listen: { port: 0 } });
  const { output } = await run(["doctor", "--at", node.address, "--cluster", "bills"]);
  const [, example = ""] = /```text\n(.*?)```/s.exec(doctorPart) ?? [];
  assertEquals(output.replaceAll(new URL(node.address).host, "127.0.0.1:7000"), example);
});
