import { assert, assertEquals, assertMatch, assertStringIncludes } from "../../deps/std_assert.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import { Authority } from "../security/certificates.ts";
import { forge, helloOf, statusWithHost, Wire } from "../security/attacker.ts";
import {
  addressOf,
  memberIn,
  output,
  prepare,
  type RuntimeName,
  RUNTIMES,
  TSC,
  TYPES,
} from "./runtimes/runtimes.ts";
import { deltaOf } from "../requirements/scripted_peer.ts";
import { Program } from "./program.ts";

const CONFIG = {
  gossipInterval: 100,
  gossipRequestTimeout: 500,
  heartbeatExpiration: 4_000,
  maxBackoff: 400,
};
const NAMES = Object.keys(RUNTIMES) as RuntimeName[];

const project = await prepare();

/** The id of a runtime's member. */
function idOf(name: RuntimeName): string {
  return name.toLowerCase().replace(" ", "");
}

/** Registers a test that needs Node and Bun. Without them it is skipped, and its name has the reason. */
function test(name: string, run: (project: { readonly folder: string }) => Promise<void>): void {
  const why = "why" in project ? project.why : undefined;
  Deno.test({
    name: why === undefined ? name : `${name} (skipped: ${why})`,
    ignore: why !== undefined,
    fn: () => "folder" in project ? run(project) : Promise.resolve(),
  });
}

/** The options of a member in a process. */
function options(id: string, more: object = {}): { id: string; cluster: string; config: object } {
  return { cluster: "faults", id, config: CONFIG, ...more };
}

/** A member on Deno, without the package `ws`. */
function memberOnDeno(id: string, more: object = {}): Program {
  return Program.member({ id, port: 0, seeds: [], config: CONFIG, ...more });
}

test("Node and Bun: members on Node 22, Node 24, Bun and Deno share state with keys, and notice a crash and a departure in order", async (project) => {
  const authentication = { keys: [await newClusterKey()] };
  await using deno = memberOnDeno("deno", { authentication });
  const seeds = [await addressOf(deno)];
  const members = new Map<string, Program>([["deno", deno]]);
  await using stack = new AsyncDisposableStack();
  for (const name of NAMES) {
    const member = memberIn(name, project, options(idOf(name), { authentication, seeds }));
    stack.use(member);
    members.set(idOf(name), member);
  }
  for (const [id, member] of members) {
    await addressOf(member);
    await member.type(`set of-${id}`);
  }
  for (const [id, member] of members) {
    for (const other of members.keys().filter((each) => each !== id)) {
      await member.until(new RegExp(`"GossipUpdate".*"memberId":"${other}".*"of-${other}"`));
    }
  }
  members.get("node24")!.kill("SIGKILL");
  members.delete("node24");
  for (const member of members.values()) {
    await member.until(/"MemberFailed","memberId":"node24","reason":"crashed"/);
  }
  const bun = members.get("bun")!;
  members.delete("bun");
  bun.kill("SIGTERM");
  assertEquals((await bun.ended()).code, 0, bun.errors);
  assertMatch(bun.lines.join("\n"), /"left","flush":\{"acknowledgedBy":2,"wanted":2,"flushed":true\}/);
  for (const member of members.values()) await member.until(/"MemberLeft","memberId":"bun"/);
  await members.get("node22")!.type("members");
  await members.get("node22")!.until(/"members":\["bun left","deno alive","node22 alive","node24 failed"\]/);
});

test("Node and Bun: a member with another key is refused with the reason, whichever side dials", async (project) => {
  const keys = [await newClusterKey()];
  const others = [await newClusterKey()];
  await using deno = memberOnDeno("deno", { authentication: { keys } });
  const address = await addressOf(deno);
  for (const name of NAMES) {
    await using dialer = memberIn(
      name,
      project,
      options(name, { authentication: { keys: others }, seeds: [address] }),
    );
    await dialer.until(/"SeedFailed".*"code":"unauthorized".*\(401\)/);
    const own = await addressOf(dialer);
    await using stranger = memberOnDeno("stranger", { authentication: { keys }, seeds: [own] });
    await stranger.until(/"SeedFailed".*"code":"unauthorized".*\(401\)/);
    await dialer.until(/"ClientRefused".*must be signed with a key/);
  }
  await deno.until(/"ClientRefused".*must be signed with a key/);
});

/** The answers to hostile and wrong clients, one line each. */
async function answersOf(address: string, { key }: { readonly key: string }): Promise<string[]> {
  const authorityText = new URL(address).host;
  const upgrade = async (what: string, given: Parameters<typeof Wire.status>[1] = {}) =>
    `${what}: ${await Wire.status(address, given)}`;
  const token = (more: object = {}) => forge({ key, authority: authorityText, ...more });
  const used = await token();
  const plain = await fetch(`${address.replace("ws", "http")}/gossip`);
  const other = await fetch(`${address.replace("ws", "http")}/other`);
  const answers = [
    `no upgrade: ${plain.status} ${plain.headers.get("upgrade")} ${await plain.text()}`,
    `other path: ${other.status} ${await other.text()}`,
    await upgrade("other protocol", { protocols: ["hearsay.v1"] }),
    await upgrade("no token"),
    await upgrade("token", { token: used }),
    await upgrade("token again", { token: used }),
    await upgrade("long token", { token: "x".repeat(3_000) }),
    await upgrade("token of another key", { token: await token({ key: await newClusterKey() }) }),
    await upgrade("token for another cluster", { token: await token({ cluster: "payments" }) }),
    await upgrade("token for another member", { token: await token({ authority: "10.0.0.7:7001" }) }),
    await upgrade("token as a protocol", { protocols: ["hearsay.v2", `hearsay.token.${await token()}`] }),
    await upgrade("web page", { token: await token(), headers: { origin: "https://evil.example" } }),
  ];
  for (const host of ["a b", "[::1"]) {
    answers.push(`host ${host}: ${await statusWithHost(address, host)}`);
  }
  await using large = await Wire.opened(address, { token: await token() });
  large.socket.send(JSON.stringify({ type: "ack", id: "x".repeat(1_100_000) }));
  const { code, reason } = await large.closed;
  answers.push(`large message: ${code} ${reason}`);
  await using binary = await Wire.opened(address, { token: await token() });
  binary.socket.send(new Uint8Array(3));
  const closed = await binary.closed;
  answers.push(`binary message: ${closed.code} ${closed.reason}`);
  await using foreign = await Wire.opened(address, { token: await token() });
  foreign.socket.send("{}");
  answers.push(`no message: ${(await foreign.closed).code}`);
  return answers;
}

test("Node and Bun: hostile and wrong clients get the statuses, texts and close codes that they get from a member on Deno", async (project) => {
  const key = await newClusterKey();
  const more = { authentication: { keys: [key] }, cluster: "orders" };
  await using deno = new Program({
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      "--allow-net=127.0.0.1",
      "tests/process/runtimes/deno_member.ts",
      JSON.stringify(options("deno", more)),
    ],
  });
  const expected = await answersOf(await addressOf(deno), { key });
  assert(expected.some((line) => line.startsWith("large message: 4413")), expected.join("\n"));
  for (const name of NAMES) {
    await using member = memberIn(name, project, options(name, more));
    assertEquals(await answersOf(await addressOf(member), { key }), expected, name);
  }
});

test("Node and Bun: without keys only clients of this machine are accepted: no proxy, no foreign name, no other interface", async (project) => {
  for (const name of NAMES) {
    await using member = memberIn(name, project, options(name));
    const address = await addressOf(member);
    assertEquals(await Wire.status(address), 101);
    for (const header of ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"]) {
      assertEquals(await Wire.status(address, { headers: { [header]: "203.0.113.9" } }), 403, header);
    }
    for (const host of ["evil.example", "127.0.0.1.evil.example", "10.0.0.7"]) {
      assertEquals(await statusWithHost(address, host), 403, host);
    }
    await using open = memberIn(name, project, options(name, { listen: { hostname: "0.0.0.0", port: 0 } }));
    await open.until(/"failed".*authentication.*must be set|"failed".*`authentication`/);
  }
});

test("Node and Bun: the limit of connections from one address holds, and an oversized message is not read to its end", async (project) => {
  const config = { ...CONFIG, maxConnectionsPerAddress: 3 };
  for (const name of NAMES) {
    await using member = memberIn(name, project, options(name, { config }));
    const address = await addressOf(member);
    await using stack = new AsyncDisposableStack();
    const wires: Wire[] = [];
    for (let count = 0; count < 3; count++) wires.push(stack.use(await Wire.opened(address)));
    assertEquals(await Wire.status(address), 503, name);
    wires[0]!.socket.send("x".repeat(2 * 1_048_576 + 1_000));
    assertEquals((await wires[0]!.closed).code, 1009, name);
  }
});

test("Node and Bun: members behind TLS and members on Deno dial each other, and an unknown authority is explained", async (project) => {
  const authority = await Authority.make();
  const { cert, key } = await authority.sign();
  const tls = { cert, key, caCerts: [authority.cert] };
  await using deno = memberOnDeno("deno", { tls });
  const seeds = [await addressOf(deno)];
  assert(seeds[0]!.startsWith("wss:"));
  await using expired = memberOnDeno("expired", {
    tls: { ...tls, ...await authority.sign({ untilMs: -60_000 }) },
  });
  const old = await addressOf(expired);
  for (const name of NAMES) {
    await using member = memberIn(name, project, options(name, { tls, seeds }));
    await member.until(/"MemberJoined".*"deno"/);
    await using dialed = memberOnDeno(`of ${name}`, { tls, seeds: [await addressOf(member)] });
    await dialed.until(new RegExp(`"MemberJoined".*"${name}"`));
    await using distrustful = memberIn(name, project, options("distrustful", { tls: { cert, key }, seeds }));
    await distrustful.until(/"SeedFailed".*`tls.caCerts` must have its authority/);
    await using strict = memberIn(name, project, options("strict", { tls, seeds: [old] }));
    await strict.until(/"SeedFailed".*invalid peer certificate: Expired/);
  }
});

test("Node and Bun: a service's own server accepts peers, and answers its other requests itself", async (project) => {
  for (const name of NAMES) {
    await using member = memberIn(name, project, options(name, { isMounted: true }));
    const address = await addressOf(member);
    assertEquals(await (await fetch(address.replace("ws", "http"))).text(), "the service's own");
    await using deno = memberOnDeno("deno", { seeds: [address] });
    await deno.until(new RegExp(`"MemberJoined".*"${name}"`));
    member.kill("SIGTERM");
    await deno.until(new RegExp(`"MemberLeft".*"${name}"`));
  }
});

test("Node and Bun: a taken port, and a `join` that cannot listen there, are explained", async (project) => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await Deno.writeTextFile(
    `${project.folder}/plain.ts`,
    'import { join } from "@hearsay/gossip";\n' +
      'await join({ cluster: "faults", listen: { port: 0 } }).catch((error) => console.log(error.code, error.message));\n',
  );
  for (const name of NAMES) {
    await using member = memberIn(name, project, options(name, { listen: { port: taken.addr.port } }));
    await member.until(/Cannot listen on 127.0.0.1:\d+: another process uses this port/);
    const text = await output(RUNTIMES[name], ["plain.ts"], project);
    assertMatch(text, /^cannot_listen This runtime is not Deno: .*@hearsay\/gossip\/ws/);
  }
});

test("Node and Bun: dialOnly works with the plain `join` too, and a failed dial does not end the process", async (project) => {
  await Deno.writeTextFile(
    `${project.folder}/dial_only.ts`,
    `import { join } from "@hearsay/gossip";
const node = await join({ cluster: "faults", id: "dialer", dialOnly: true, seeds: process.argv.slice(2) });
for await (const _ of node.events.subscribe(["SeedFailed"])) break;
for await (const { memberId } of node.watch("k")) { console.log(memberId); break; }
console.log(JSON.stringify(await node.stop()));
process.exit();
`,
  );
  await using deno = memberOnDeno("deno");
  const address = await addressOf(deno);
  await deno.type("set here");
  for (const name of NAMES) {
    const text = await output(RUNTIMES[name], ["dial_only.ts", "ws://127.0.0.1:1", address], project);
    assertEquals(text, 'deno\n{"acknowledgedBy":1,"wanted":1,"flushed":true}\n', name);
  }
});

test("Node and Bun: Node 20 prints in one line that it is too old", async (project) => {
  await Deno.writeTextFile(
    `${project.folder}/old.mjs`,
    `delete Promise.withResolvers;
import { join } from "@hearsay/gossip/ws";
await join({ cluster: "faults" }).catch(({ message }) => console.log(message));
`,
  );
  const text = await output(RUNTIMES["Node 22"], ["old.mjs"], project);
  assertStringIncludes(text, "Hearsay needs Node 22.3, Bun 1.2 or a later version.");
});

test("Node and Bun: a burst of small messages in one packet does not fill the inbox before they are read", async (project) => {
  for (const name of NAMES) {
    await using member = memberIn(name, project, options(idOf(name), { cluster: "orders" }));
    await using wire = await Wire.opened(await addressOf(member));
    wire.say(helloOf("mallory"));
    await wire.hears("hello");
    const ack = { type: "ack", id: "1", holds: new Map() } as const;
    const last = {
      type: "gossip",
      liveness: { count: 0 },
      id: "d2",
      memberId: "mallory",
      delta: deltaOf([]),
    } as const;
    wire.say(...Array.from({ length: 600 }, () => ack), last);
    const answer = await Promise.race([wire.hears("reply"), wire.closed]);
    assert("id" in answer && answer.id === "d2", `${name}: ${JSON.stringify(answer)}`);
  }
});

test("Node and Bun: functions that need Deno throw an error that says so", async (project) => {
  await Deno.writeTextFile(
    `${project.folder}/deno_only.ts`,
    `import { dns, serve } from "@hearsay/gossip";
import { keysFromEnvironment, keysFromFile, newClusterKey, signingKeyFromFile } from "@hearsay/gossip/auth";
import { etcd } from "@hearsay/gossip/etcd";
import { kubernetes } from "@hearsay/gossip/kubernetes";
import { loadConfig } from "@hearsay/gossip/yaml";
const calls = [
  () => dns("orders.example", { port: 7001 }),
  () => serve({ port: 0 }, () => new Response()),
  () => etcd(),
  () => kubernetes({ labelSelector: "app=orders", port: 7001 }),
  () => keysFromFile("keys"),
  () => signingKeyFromFile("key"),
  () => loadConfig("gossip.yaml"),
];
for (const call of calls) {
  try { await call(); } catch ({ code, message }: any) { console.log(code, message); }
}
process.env.HEARSAY_KEYS = await newClusterKey();
console.log(keysFromEnvironment().length);
`,
  );
  for (const name of NAMES) {
    const lines = (await output(RUNTIMES[name], ["deno_only.ts"], project)).trim().split("\n");
    assertEquals(lines.length, 8, lines.join("\n"));
    for (const line of lines.slice(0, 7)) {
      assertMatch(line, /^invalid_configuration `\w+` needs Deno\. On Node and Bun, /);
    }
    assertEquals(lines[7], "1");
  }
});

test("docs/node-and-bun.md: its programs run on Node and Bun, and print what the page says", async (project) => {
  const page = await Deno.readTextFile(new URL("../../docs/node-and-bun.md", import.meta.url));
  const programs = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = ""]) => code);
  assertEquals(programs.length, 2);
  const printed = ["ada 0.3\n", "the service's own\n"];
  for (const [index, code] of programs.entries()) {
    await Deno.writeTextFile(`${project.folder}/page.ts`, code);
    for (const name of NAMES) {
      assertEquals(await output(RUNTIMES[name], ["page.ts"], project), printed[index], name);
    }
  }
});

/** Type checks that a project of Node may ask for. */
const CHECKS: Readonly<Record<string, object>> = {
  "the types of Node": { lib: ["esnext"], types: ["node"], typeRoots: [TYPES] },
  "the types of browsers": { lib: ["esnext", "dom", "dom.iterable", "dom.asynciterable"], types: [] },
};

for (const [what, more] of Object.entries(CHECKS)) {
  test(`deno task pack: every entry passes tsc of a strict project with ${what}, without skipLibCheck`, async ({ folder }) => {
    const manifest = JSON.parse(
      await Deno.readTextFile(`${folder}/node_modules/@hearsay/gossip/package.json`),
    );
    const entries = Object.keys(manifest.exports);
    assert(entries.includes("./ws"));
    const imports = entries.map((entry, index) =>
      `import * as m${index} from ${JSON.stringify(`@hearsay/gossip${entry.slice(1)}`)};\nvoid m${index};\n`
    );
    const uses = `import { join, type Node } from "@hearsay/gossip/ws";
const node: Node = await join({ cluster: "orders", listen: { port: 0 } });
const values: number[] = [...node.getState<number>("load").values()].map(({ value }) => value);
void values;
// @ts-expect-error a cluster is a text
await join({ cluster: 1 });
`;
    await Deno.writeTextFile(`${folder}/types.ts`, imports.join("") + uses);
    const compilerOptions = {
      module: "nodenext",
      target: "es2023",
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      ...more,
    };
    await Deno.writeTextFile(
      `${folder}/tsconfig.json`,
      JSON.stringify({ compilerOptions, files: ["types.ts"] }),
    );
    assertEquals(
      await output(RUNTIMES["Node 24"], [TSC, "-p", "."], { folder }).catch(({ message }) => message),
      "",
    );
  });
}
