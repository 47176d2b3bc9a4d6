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
    const names = expression.match(/\bhearsay_\w+/g) ?? [];
    const lines = text.split("\n").filter((line) => names.some((name) => line.startsWith(name)));
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

Deno.test("Grafana dashboard: each panel shows the chosen instances, and members of one cluster are compared", async () => {
  const { panels }: Dashboard = JSON.parse(await Deno.readTextFile(DASHBOARD));
  const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  assertEquals(expressions.filter((each) => !each.includes('instance=~"$instance"')), []);
  // A number of members of one cluster says nothing about those of another.
  const compared = expressions.filter((each) => /^(max|min)\b/.test(each));
  assertEquals(compared.length, 2);
  assertEquals(compared.filter((each) => !/^m\w\w by \(cluster\) .* hearsay_member_info\)$/.test(each)), []);
});

Deno.test("Grafana dashboard: every panel has a unique id, a title and a description", async () => {
  const { panels }: Dashboard = JSON.parse(await Deno.readTextFile(DASHBOARD));
  assertEquals(new Set(panels.map(({ id }) => id)).size, panels.length);
  assertEquals(panels.filter(({ title, description }) => !title || !description), []);
});
