import { assertEquals } from "../../../deps/std_assert.ts";
import { MeteredCluster } from "./cluster.ts";
import { namesIn } from "./text.ts";

interface Dashboard {
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly description: string;
    readonly targets: readonly { readonly expr: string }[];
  }[];
}

const DASHBOARD = new URL("../../../docs/grafana-dashboard.json", import.meta.url);

Deno.test("Grafana dashboard: each metric and label that it names exists, and each metric of the library has a panel", async () => {
  await using metered = await MeteredCluster.started(["a", "b"]);
  await metered.cluster.runUntil(() => metered.cluster.isConfirmed());
  const text = metered.text("a");
  const { panels }: Dashboard = JSON.parse(await Deno.readTextFile(DASHBOARD));
  const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  const named = expressions.flatMap((each) => each.match(/\bhearsay_\w+/g) ?? []);
  const series = new Set(text.split("\n").map((line) => /^\w+/.exec(line)?.[0]));
  assertEquals(named.filter((name) => !series.has(name)), []);
  const families = new Set(named.map((name) => name.replace(/_(bucket|count)$/, "")));
  assertEquals(namesIn(text).filter((name) => !families.has(name)), []);

  for (const expression of expressions) {
    const [name] = /\bhearsay_\w+/.exec(expression)!;
    const lines = text.split("\n").filter((line) => line.startsWith(name));
    // Prometheus itself adds `instance`.
    for (const [, label] of expression.matchAll(/(\w+)=~?"/g)) {
      if (label === "instance") continue;
      assertEquals(lines.some((line) => line.includes(`${label}="`)), true, `${expression}: ${label}`);
    }
    for (const [, labels = ""] of expression.matchAll(/by \(([^)]*)\)/g)) {
      for (const label of labels.split(", ")) {
        if (label === "instance") continue;
        assertEquals(lines.some((line) => line.includes(`${label}="`)), true, `${expression}: ${label}`);
      }
    }
  }
});

Deno.test("Grafana dashboard: every panel has a unique id, a title and a description", async () => {
  const { panels }: Dashboard = JSON.parse(await Deno.readTextFile(DASHBOARD));
  assertEquals(new Set(panels.map(({ id }) => id)).size, panels.length);
  assertEquals(panels.filter(({ title, description }) => !title || !description), []);
});
