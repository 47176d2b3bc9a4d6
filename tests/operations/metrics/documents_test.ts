import { assertEquals } from "../../../deps/std_assert.ts";
import { ATTRIBUTES, DISTRIBUTED, OBSERVED } from "../../../operations/metrics/catalog.ts";

const page = await Deno.readTextFile(new URL("../../../docs/operating.md", import.meta.url));
const [, metricsPart = ""] = page.split("\n### Metrics\n");

/** The cells of the table whose header begins with a word. */
function rowsOf(header: string): string[][] {
  const [, table = ""] = metricsPart.split(new RegExp(`^\\| *${header} `, "m"));
  const lines = table.split("\n\n")[0]!.split("\n").slice(2);
  return lines.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

Deno.test("docs/operating.md: has every metric with its names and its unit", () => {
  const shown = rowsOf("Prometheus").map((cells) => cells.slice(0, 3).join(" "));
  const metrics = [...OBSERVED, ...Object.values(DISTRIBUTED)];
  const expected = metrics.map(({ text, name, unit }) => `\`${text}\` \`${name}\` \`${unit}\``);
  assertEquals(
    shown.filter((each) => !each.startsWith("`hearsay_member_info`")).toSorted(),
    expected.toSorted(),
  );
});

Deno.test("docs/operating.md: has the attribute of OpenTelemetry for every label", () => {
  const shown = rowsOf("label").flatMap(([label = "", attribute = ""]) => {
    const name = /^`([\w.]+)`$/.exec(attribute)?.[1];
    return name === undefined ? [] : [[/^`(\w+)`/.exec(label)![1]!, name]];
  });
  assertEquals(Object.fromEntries(shown), ATTRIBUTES);
});
