import { assert, assertEquals, assertGreater, assertMatch } from "../../deps/std_assert.ts";
import { parse } from "../../deps/std_yaml.ts";
import { join, SHUTDOWN_TIMEOUT } from "../../node/mod.ts";
import { operations } from "../../operations/mod.ts";

const ROOT = new URL("../../", import.meta.url);

function textOf(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

/** The fields of a probe in these tests. */
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string; readonly scheme: string };
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

/** The fields of a container in these tests. */
interface Container extends Readonly<Record<"startupProbe" | "readinessProbe" | "livenessProbe", Probe>> {
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly ports: readonly { readonly name: string }[];
  readonly lifecycle: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
}

/** The fields of a Service in these tests. */
interface Service {
  readonly kind: "Service";
  readonly metadata: { readonly name: string };
  readonly spec: { readonly clusterIP?: string; readonly publishNotReadyAddresses?: boolean };
}

/** The fields of a StatefulSet in these tests. */
interface StatefulSet {
  readonly kind: "StatefulSet";
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly serviceName: string;
    readonly replicas: number;
    readonly template: {
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly containers: readonly [Container];
      };
    };
  };
}

async function manifests(): Promise<readonly (Service | StatefulSet)[]> {
  const documents = (await textOf("examples/service/kubernetes.yaml")).split(/^---$/m);
  return documents.map((text) => parse(text) as Service | StatefulSet);
}

async function statefulSet(): Promise<StatefulSet> {
  return (await manifests()).find((manifest) => manifest.kind === "StatefulSet")!;
}

/** The lists of environment variables that a text permits Deno to read. */
function allowedIn(text: string): string[][] {
  return [...text.matchAll(/--allow-env=(\S+?)["\s]/g)].map(([, names = ""]) => names.split(","));
}

Deno.test("deployment: the task and the manifests of the service permit exactly the environment variables that it reads", async () => {
  const settings = await textOf("examples/service/settings.ts");
  const read = [...settings.matchAll(/(?:Deno\.env\.get|wholeNumber|readNamed)\("([A-Z_]+)"/g)];
  const names = [...new Set([...read.map(([, name]) => name!), "HEARSAY_KEYS"])].sort();
  const { tasks } = JSON.parse(await textOf("deno.json"));
  assertEquals(allowedIn(`${tasks.service.command} `), [names]);
  for (const file of ["orders.service", "kubernetes.yaml"]) {
    assertEquals(allowedIn(await textOf(`examples/service/${file}`)), [names], file);
  }
});

Deno.test("docs/deployment.md: has every variable of the service with its default, and no other", async () => {
  const [, section = ""] = (await textOf("docs/deployment.md")).split("\n## Variables of the service\n");
  const rows = [...section.split("\n## ")[0]!.matchAll(/^\| `([A-Z_]+)` *\| (\S+) *\|/gm)];
  const { tasks } = JSON.parse(await textOf("deno.json"));
  const [names = []] = allowedIn(`${tasks.service.command} `);
  assertEquals(rows.map(([, name]) => name!).sort(), names);
  const settings = await textOf("examples/service/settings.ts");
  const numbers = [...settings.matchAll(/wholeNumber\("([A-Z_]+)", \{ usual: ([\d_]+)/g)];
  assertEquals(numbers.length, 4);
  for (const [, name, usual = ""] of numbers) {
    const [, , stated = ""] = rows.find(([, other]) => other === name)!;
    assertEquals(Number(stated.replaceAll(",", "")), Number(usual.replaceAll("_", "")), name);
  }
});

Deno.test("deployment: the manifests of the service set no variable that it does not read", async () => {
  const [names = []] = allowedIn(await textOf("examples/service/kubernetes.yaml"));
  const [container] = (await statefulSet()).spec.template.spec.containers;
  const inPod = container.env.map(({ name }) => name);
  assertEquals(inPod.filter((name) => name !== "POD_NAME" && !names.includes(name)), []);
  const unit = await textOf("examples/service/orders.service");
  const set = [...unit.matchAll(/^Environment=(.*)$/gm)].flatMap(([, line = ""]) => line.split(" "));
  const inUnit = set.map((each) => each.split("=")[0]!).filter((name) => name !== "DENO_DIR");
  assertEquals(inUnit.filter((name) => !names.includes(name)), []);
});

Deno.test("deployment: the platforms give the service more time to end than it needs", async () => {
  const { terminationGracePeriodSeconds, containers: [container] } = (await statefulSet()).spec.template.spec;
  const beforeSeconds = container.lifecycle.preStop.sleep.seconds;
  assertGreater(terminationGracePeriodSeconds * 1_000, beforeSeconds * 1_000 + SHUTDOWN_TIMEOUT);
  // By then the readiness probe has failed, or the pod is known to be ending.
  const { periodSeconds, failureThreshold } = container.readinessProbe;
  assertGreater(beforeSeconds, periodSeconds * failureThreshold);
  const unit = await textOf("examples/service/orders.service");
  assertGreater(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)![1]) * 1_000, SHUTDOWN_TIMEOUT);
});

Deno.test("deployment: the probes of the manifests use the paths that the service answers", async () => {
  // The service mounts the handler without a prefix.
  await using node = await join({ cluster: "deployment", listen: { port: 0 } });
  const operate = operations(node);
  const service = await textOf("examples/service.ts");
  assertMatch(service, /= operations\(node, /);
  assert(!service.includes("prefix:"));
  const [container] = (await statefulSet()).spec.template.spec.containers;
  const ports = container.ports.map(({ name }) => name);
  for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"] as const) {
    const { path, port, scheme } = container[probe].httpGet;
    assert(await operate(new Request(`https://orders.example${path}`)) !== undefined, path);
    assertEquals([scheme, ports.includes(port)], ["HTTPS", true]);
  }
});

Deno.test("deployment: the pods find each other by the names of a headless service before they are ready", async () => {
  const { metadata, spec } = await statefulSet();
  const services = (await manifests()).filter((manifest) => manifest.kind === "Service");
  const headless = services.find((service) => service.metadata.name === spec.serviceName)!;
  assertEquals([headless.spec.clusterIP, headless.spec.publishNotReadyAddresses], ["None", true]);
  const [container] = spec.template.spec.containers;
  const env = new Map(container.env.map(({ name, value }) => [name, value]));
  const suffix = `${headless.metadata.name}.default.svc.cluster.local`;
  assertEquals(env.get("ADVERTISE_HOST"), `$(POD_NAME).${suffix}`);
  const seeds = env.get("SEEDS")!.split(" ");
  assertGreater(seeds.length, 1);
  for (const [index, seed] of seeds.entries()) {
    assertEquals(seed, `wss://${metadata.name}-${index}.${suffix}:${env.get("PORT")}`);
  }
  assertGreater(spec.replicas, seeds.length - 1);
});
