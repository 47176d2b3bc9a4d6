import { assert, assertEquals, assertMatch, assertStringIncludes } from "../../deps/std_assert.ts";
import { pageOf } from "../../examples/embed/page.ts";
import type { Snapshot } from "../../mod.ts";
import { eventually, Program } from "./program.ts";

Deno.test("consensus example: reaches consensus on version 1, loses it, reaches it on version 2 and ends (R11.3)", async () => {
  await using program = await Program.example("consensus");
  const { code } = await program.ended();
  assertEquals([code, program.errors], [0, ""]);
  const story = program.lines.map((line) => line.replace(/^ *\+\d+\.\d{3} s +/, ""));
  for (const id of ["ada", "ben", "cleo"]) {
    const own = story.filter((line) => line.startsWith(`${id} `)).map((line) => line.replace(/^\w+ +/, ""));
    assertEquals(own.toSorted(), [
      "reads version 1",
      "reads version 2",
      "uses version 1: all members have it",
      "uses version 2: all members have it",
      "waits: not all members have the same version",
    ]);
    const waits = own.indexOf("waits: not all members have the same version");
    assert(own.indexOf("uses version 1: all members have it") < waits);
    assert(waits < own.indexOf("uses version 2: all members have it"));
  }
  assert(story.includes("out of step: ada"), story.join("\n"));
});

/** Starts the embed example; resolves when it listens. */
async function service(...args: string[]): Promise<{ readonly program: Program; readonly origin: string }> {
  const program = await Program.example("embed", "--port", "0", ...args);
  const [, origin = ""] = await program.until(/(http:\S+)\/members shows/);
  return { program, origin };
}

async function membersAt(origin: string): Promise<Snapshot> {
  const response = await fetch(`${origin}/members`);
  assertEquals(response.headers.get("content-type"), "application/json");
  return await response.json();
}

function greetingsIn({ members }: Snapshot): unknown[] {
  return members.map(({ entries }) => entries.find(({ key }) => key === "greetings")?.value);
}

Deno.test("embed example: serves its own pages, the members and the gossip, even without other members", async () => {
  const { program, origin } = await service();
  await using _ = program;
  const greeting = await fetch(origin);
  assertStringIncludes(await greeting.text(), "Hello");
  const alone = await membersAt(origin);
  assertEquals(alone.members.map(({ id, status, isSelf }) => [id, status, isSelf]), [[
    alone.self,
    "alive",
    true,
  ]]);
  assertEquals(greetingsIn(alone), [1]);
  const page = await fetch(`${origin}/members`, { headers: { accept: "text/html,*/*" } });
  assertEquals(page.headers.get("content-type"), "text/html; charset=utf-8");
  assertStringIncludes(await page.text(), "<code>greetings = 1</code>");
  const unknown = await fetch(`${origin}/nothing`);
  assertEquals([unknown.status, await unknown.text()], [404, "Not found.\n"]);
  const gossip = await fetch(`${origin}/gossip`);
  await gossip.body?.cancel();
  assertEquals(gossip.status, 426);
  program.kill("SIGTERM");
  await program.until(/^Left; there was no other member\.$/);
  assertEquals((await program.ended()).code, 0);
});

Deno.test("embed example: two copies see each other's state and departure (R8.2, R9.2)", async () => {
  const one = await service();
  await using _ = one.program;
  const two = await service("--seed", one.origin.replace("http:", "ws:"));
  await using __ = two.program;
  await (await fetch(two.origin)).body?.cancel();
  for (const { origin } of [one, two]) {
    await eventually(`${origin} shows both`, async () => {
      const snapshot = await membersAt(origin);
      return snapshot.members.every(({ status }) => status === "alive") &&
        JSON.stringify(greetingsIn(snapshot).toSorted()) === "[0,1]";
    });
  }
  const { self } = await membersAt(two.origin);
  two.program.kill("SIGINT");
  await two.program.until(/^Left; 1 of 1 other member has acknowledged it\.$/);
  assertEquals((await two.program.ended()).code, 0);
  // The other copy has acknowledged the departure, so its view is up to date.
  const { members } = await membersAt(one.origin);
  assertEquals(members.find(({ id }) => id === self)?.status, "left");
});

Deno.test("embed example: the page shows names and values of members as text, never as markup", () => {
  const evil = `<script>alert("&'")</script>`;
  const page = pageOf({
    self: evil,
    cluster: evil,
    phase: "confirmed",
    isolated: false,
    digest: "",
    room: { bytes: 0, dropped: 0, refused: 0 },
    members: [{
      id: evil,
      isSelf: false,
      status: "alive",
      incarnation: undefined,
      address: { host: evil, port: 1 },
      block: null,
      entries: [{ key: evil, value: { [evil]: evil }, sequenceNumber: 1, localTimestampUnixMilliseconds: 0 }],
    }],
    seeds: [],
  });
  assert(!page.includes("<script"), page);
  assertStringIncludes(page, "&#60;script&#62;alert(&#34;&#38;&#39;&#34;)&#60;/script&#62;");
});

/** A temporary configuration file; disposal removes it. */
class ConfigFile implements AsyncDisposable {
  readonly path: string;
  constructor(path: string) {
    this.path = path;
  }
  static async of(text: string): Promise<ConfigFile> {
    const path = await Deno.makeTempFile({ suffix: ".yaml" });
    await Deno.writeTextFile(path, text);
    return new ConfigFile(path);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path);
  }
}

Deno.test("node example: prints joining, state, departure and crash of other members (R6.3, R9.2, R12.1)", async () => {
  await using file = await ConfigFile.of(`
cluster: test
port: 0
state: { role: worker }
gossipInterval: 50
gossipRequestTimeout: 400
heartbeatExpiration: 1500
`);
  const node = (...args: string[]) => Program.example("node", "--config", file.path, ...args);
  await using ada = await node("--id", "ada", "--set", 'role="boss"');
  const [, address = ""] = await ada.until(/ada listens on (ws:\S+)/);
  await using ben = await node("--id", "ben", "--seed", address);
  await using cleo = await node("--id", "cleo", "--seed", address);

  await ada.until(/joined +ben at 127\.0\.0\.1:\d+/);
  await ben.until(/joined +cleo at/);
  await cleo.until(/set +ada role = "boss"/);
  await cleo.until(/set +ben role = "worker"/);
  await cleo.until(/phase +confirmed/);

  await ada.type('load={"cpu":0.5}');
  await ben.until(/set +ada load = {"cpu":0\.5}/);
  await ada.type("load=");
  await ben.until(/deleted +ada load$/);
  await ada.type("load=no json");
  await ada.until(/failed +no json is not JSON/);
  await ada.type("heathbeat=1");
  await ada.until(/failed +The key "heathbeat" is reserved/);

  ben.kill("SIGTERM");
  await ben.until(/^Left; 2 of 2 other members have acknowledged it\.$/);
  assertEquals((await ben.ended()).code, 0);
  await ada.until(/left +ben/);
  await cleo.until(/left +ben/);

  cleo.kill("SIGKILL");
  await ada.until(/blocked +cleo \((?:crashed|expired)\)/);
  ada.kill("SIGINT");
  assertEquals((await ada.ended()).code, 0);
  assertEquals([ada.errors, ben.errors], ["", ""]);
});

Deno.test("node example: starts with the file beside it", async () => {
  await using program = await Program.example("node", "--config", "examples/node.yaml", "--port", "0");
  await program.until(/here +[0-9a-f]{8} listens on ws:\/\/127\.0\.0\.1:\d+/);
  program.kill("SIGTERM");
  assertEquals((await program.ended()).code, 0);
});

/** Asserts that the example ends with code 2 and prints one message without a stack trace. */
async function assertGivesUp(name: string, args: readonly string[], message: RegExp): Promise<void> {
  await using program = await Program.example(name, ...args);
  const { code } = await program.ended();
  assertEquals([code, program.lines], [2, []], program.errors);
  assertMatch(program.errors, message);
  assert(!/\n +at /.test(program.errors), `The message has a stack trace:\n${program.errors}`);
}

Deno.test("node example: prints the errors of its file (R12.3)", async () => {
  await using broken = await ConfigFile.of("seeds: [\nport: }");
  await assertGivesUp("node", ["--config", broken.path], /line 2\) must be valid YAML/);
  await using unknown = await ConfigFile.of("gossipIntervall: 100\nheartbeatExpiration: -1");
  const both = /2 problems.*\n.*did you mean gossipInterval\?.*\n.*heartbeatExpiration/;
  await assertGivesUp("node", ["--config", unknown.path], both);
  await using own = await ConfigFile.of("port: x\nseeds: [http://a]\nstate: 7");
  await assertGivesUp("node", ["--config", own.path], /port must be.*\n.*seeds must be.*\n.*state must be/);
  await assertGivesUp("node", ["--config", "/nowhere.yaml"], /^\/nowhere\.yaml does not exist\.\n$/);
});

Deno.test("examples: print the errors of their flags", async () => {
  await assertGivesUp(
    "node",
    ["--bogus"],
    /^Unknown argument: "--bogus"\. Run with --help for the flags\.\n$/,
  );
  await assertGivesUp("node", ["--port"], /^--port needs a value/);
  await assertGivesUp(
    "node",
    ["--port", "70000"],
    /^--port must be an integer from 0 to 65535; got "70000"\.\n$/,
  );
  await assertGivesUp(
    "node",
    ["--id", "a", "--id", "b"],
    /^--id must be given at most once; got 2 values\.\n$/,
  );
  await assertGivesUp(
    "node",
    ["--seed", "here"],
    /^--seed must be an address such as ws:\/\/127\.0\.0\.1:7001/,
  );
  await assertGivesUp("node", ["--set", "color=blue"], /^--set: blue is not JSON/);
  await assertGivesUp("consensus", ["now"], /^Unknown argument: "now"/);
});

Deno.test("examples: print that a port is in use", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = String((taken.addr as Deno.NetAddr).port);
  await assertGivesUp(
    "embed",
    ["--port", port],
    new RegExp(`^Port ${port} is in use. Choose another with --port <number>`),
  );
  await assertGivesUp("node", ["--port", port], /^Cannot listen on 127\.0\.0\.1:\d+: another process/);
});

Deno.test("examples: print their flags after --help", async () => {
  for (const name of ["consensus", "demo", "embed", "node"]) {
    await using program = await Program.example(name, "--help");
    assertEquals((await program.ended()).code, 0, program.errors);
    assertStringIncludes(program.lines.join("\n"), "  --help ");
  }
});

Deno.test("dashboard example: shows its five members", async () => {
  await using program = await Program.example("dashboard", "--port", "0");
  const [, address = ""] = await program.until(/(http:\S+) to see the cluster/);
  const page = await fetch(address);
  assertStringIncludes(await page.text(), "Hearsay dashboard");
  const alive = ["ada", "ben", "cleo", "dan", "eve"].map((id) => `${id} alive`);
  await eventually("the page's data has five living members", async () => {
    const { members } = await (await fetch(`${address}data`)).json() as Snapshot;
    return members.map(({ id, status }) => `${id} ${status}`).join() === alive.join();
  });
});
