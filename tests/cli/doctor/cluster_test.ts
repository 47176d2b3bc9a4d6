// `hearsay doctor` asks the other members too, and names the fault of one that is alive.

import { assertEquals, assertMatch } from "../../../deps/std_assert.ts";
import { causeOf, examineOthers } from "../../../cli/doctor/cluster_steps.ts";
import type { Diagnosis, Fault, FaultCode } from "../../../cli/doctor/findings.ts";
import { judgeSelf } from "../../../cli/doctor/member_steps.ts";
import { realRuntime } from "../../../common/runtime.ts";
import { join, type JoinOptions, type Node } from "../../../mod.ts";
import { Observer } from "../../../observer/client.ts";
import type { Facts, ObservedMember } from "../../../observer/protocol.ts";
import { newClusterKey } from "../../../security/cluster_keys.ts";
import { eventually } from "../../security/waits.ts";
import { FakeTerminal, run } from "../terminal.ts";

const CONFIG = { gossipInterval: 50, gossipRequestTimeout: 300 };

function member(id: string, options: Partial<JoinOptions> = {}): Promise<Node> {
  const { config, ...rest } = options;
  return join({
    ...{ id, cluster: "orders", listen: { port: 0 }, log: false },
    ...rest,
    config: { ...CONFIG, ...config },
  });
}

/** Diagnoses a member until a fault is found, for 20 s at most; returns the first line. */
async function faultAt(address: string): Promise<string> {
  const until = AbortSignal.timeout(20_000);
  for (;;) {
    const { code, first, output } = await diagnosed("--at", address);
    if (code !== 0) return first;
    if (until.aborted) throw new Error(`No fault was found:\n${output}`);
  }
}

/** The exit code, the first line, and all of a diagnosis. */
async function diagnosed(...args: string[]) {
  const { code, output, errors } = await run(["doctor", ...args]);
  const [first = ""] = output.split("\n");
  return { code, first, output: output + errors };
}

Deno.test("doctor: says of each other member that it answers, after the sentence of the asked member", async () => {
  await using ada = await member("ada");
  await using ben = await member("ben", { seeds: [ada.address] });
  await Promise.all([ada, ben].map((each) => each.whenMembers(2)));
  await ada.converged();
  const { code, first, output } = await diagnosed("--at", ada.address);
  assertEquals([code, first], [0, "No fault found. This member is alive, with 1 other."], output);
  assertMatch(
    output,
    /^The other members\n {2}ok {2}member {6}"ben" at 127\.0\.0\.1:\d+ answers, and counts 2/m,
  );
});

Deno.test("doctor: finds a member that refuses the large state of another one, whichever member is asked", async () => {
  await using ada = await member("ada");
  const seeds = [ada.address];
  await using ben = await member("ben", { seeds, config: { maxStateBytes: 65_536 } });
  await using cleo = await member("cleo", { seeds });
  await cleo.whenMembers(3);
  for (let key = 0; key < 20; key++) ada.setState(`k${key}`, "x".repeat(10_000));
  await faultAt(ben.address);
  for (const { address, id } of [ben, ada, cleo]) {
    const first = await faultAt(address);
    const prefix = id === "ben" ? "" : '"ben" at \\S+: ';
    const pattern = `^Fault: state too large\\. ${prefix}This member refuses a part of the state of "ada"`;
    assertMatch(first, new RegExp(pattern));
    assertMatch(first, /maxStateBytes 65536/);
  }
});

Deno.test("doctor: finds an id that two processes use, whichever member is asked", async () => {
  await using ada = await member("ada");
  const seeds = [ada.address];
  await using ben = await member("ben", { seeds });
  await using twin = await member("ben", { seeds });
  await eventually(() =>
    twin.explain().decisions.some(({ kind }) => kind === "conflict" || kind === "renewed")
  );
  for (const { address } of [ben, twin]) {
    assertMatch(await faultAt(address), /^Fault: id used twice\. Another process uses this member's id/);
  }
  // The other member knows one of the two, and so names it to the other one.
  const [one, other] = [ben, twin].map(({ address }) => new URL(address).host);
  const pattern = new RegExp(
    `: "ada" knows "ben" at (${one}, and the asked process is at ${other}|${other}, and the asked process is at ${one})\\.$`,
  );
  const until = AbortSignal.timeout(20_000);
  const firsts = () => Promise.all([ben, twin].map(({ address }) => faultAt(address)));
  while (!(await firsts()).some((first) => pattern.test(first))) until.throwIfAborted();
  assertMatch(await faultAt(ada.address), /^Fault: id used twice\. "ben" at \S+: Another process/);
});

Deno.test("doctor: notes that a member began new incarnations, as the winner of two processes with one id does", async () => {
  await using ada = await member("ada");
  await using ben = await member("ben", { seeds: [ada.address] });
  await ben.whenMembers(2);
  await using observer = await Observer.connect(ben.address);
  const facts = await observer.ask<Facts>("facts");
  const last = {
    kind: "renewed",
    atUnixMilliseconds: 0,
    lastAtUnixMilliseconds: facts.wallMs - 500,
  } as const;
  const stepsWith = (decisions: Facts["explanation"]["decisions"]) => {
    const diagnosis: Diagnosis = { subject: "ben", steps: [] };
    judgeSelf(diagnosis, { ...facts, explanation: { ...facts.explanation, decisions } });
    return diagnosis.steps.filter(({ name }) => name === "identity");
  };
  assertEquals(stepsWith([]), []);
  const [step] = stepsWith([{ ...last, times: 2 }]);
  assertEquals([step!.outcome, step!.seen], [
    "note",
    "It began 2 new incarnations, the latest 500 ms ago: peers knew a later one of its id, or its clock was set back by over a year.",
  ]);
});

Deno.test("doctor: finds a member with another key, through a member that has both keys", async () => {
  const [before, after] = [await newClusterKey(), await newClusterKey()];
  await using ben = await member("ben", { authentication: { keys: [after, before] } });
  const seeds = [ben.address];
  await using ada = await member("ada", { seeds, authentication: { keys: [after] } });
  await using dan = await member("dan", { seeds, authentication: { keys: [before] } });
  await Promise.all([ada.whenMembers(3), dan.whenMembers(3)]);
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, after);
  const { code, first } = await diagnosed(
    ...["--at", ada.address, "--cluster", "orders", "--keys-file", file],
  );
  await Deno.remove(file);
  assertMatch(first, /^Fault: wrong key\. "dan" at \S+: The member has other keys/);
  assertEquals(code, 1);
});

Deno.test("doctor: finds two clusters of one name", async () => {
  await using ada = await member("ada");
  const one = await diagnosed("--cluster", "orders", "--seed", ada.address);
  assertEquals([one.code, one.first], [
    0,
    'No fault found. "ada" accepts new members: it has 1 of at most 10000.',
  ]);
  await using cleo = await member("cleo", { seeds: [ada.address] });
  await cleo.whenMembers(2);
  await using ben = await member("ben");
  const addresses = [ada, cleo, ben].flatMap(({ address }) => ["--seed", address]);
  const { code, first } = await diagnosed("--cluster", "orders", ...addresses);
  assertMatch(
    first,
    /^Fault: two clusters of one name\. "ada" and "ben" of the cluster "orders" know nothing/,
  );
  assertEquals(code, 1);
});

Deno.test("doctor: shows a seed at another address that leads to the member itself", async () => {
  const forwarder = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const seeds = [`ws://127.0.0.1:${forwarder.addr.port}`];
  await using cleo = await member("cleo", { seeds });
  const forwarding = forwardTo(forwarder, Number(new URL(cleo.address).port));
  await using ben = await member("ben", { seeds: [cleo.address] });
  await Promise.all([ben.whenMembers(2), cleo.whenMembers(2)]);
  await eventually(() => cleo.snapshot().seeds.some(({ outcome }) => outcome === "self"));
  const { code, output } = await diagnosed("--at", cleo.address);
  assertEquals(code, 0, output);
  assertMatch(output, /^To look at: \d+, marked with !! below\.$/m);
  assertMatch(output, / {2}!! {2}seed {8}The seed ws:\/\/127\.0\.0\.1:\d+ leads to this member itself\./);
  forwarder.close();
  await forwarding;
});

/** Forwards each connection to a port, until the listener is closed. */
async function forwardTo(listener: Deno.TcpListener, port: number): Promise<void> {
  const pipes: Promise<unknown>[] = [];
  for await (const client of listener) {
    const server = await Deno.connect({ port, hostname: "127.0.0.1" });
    // Each ends with an error if the other side closes first.
    const both = [client.readable.pipeTo(server.writable), server.readable.pipeTo(client.writable)];
    pipes.push(...both.map((pipe) => pipe.catch(() => {})));
  }
  await Promise.all(pipes);
}

Deno.test("doctor: takes --at, or the seeds of a member that need not run, but not both", async () => {
  const { code, output } = await diagnosed("--at", "ws://127.0.0.1:1", "--seed", "ws://127.0.0.1:2");
  assertMatch(output, /doctor takes --at, or --config and --seed, and not both/);
  assertEquals(code, 2);
});

Deno.test("doctor: does not call a port wrong that accepts a connection and sends nothing", async () => {
  using silent = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const accepted = silent.accept();
  const { first } = await diagnosed("--at", `ws://127.0.0.1:${silent.addr.port}`);
  (await accepted).close();
  assertMatch(
    first,
    /^Fault: no answer\. 127\.0\.0\.1:\d+ accepts the connection, and sends nothing for 5\.0 s/,
  );
});

Deno.test("causeOf: the fault at another process goes before its effect on the asked member, and before nothing else", () => {
  const fault = (code: FaultCode, isEffect = false): Fault => ({
    ...{ code, seen: "It was seen.", todo: "Look." },
    ...(isEffect && { isEffect: true }),
  });
  const isolated = fault("isolated", true);
  const cases:
    readonly (readonly [Fault | undefined, readonly (FaultCode | undefined)[], string | undefined])[] = [
      [isolated, ["unreachable", "notListening"], "unreachable"],
      // A crash explains less than any other fault.
      [isolated, ["notListening", "key"], "key"],
      [isolated, [undefined, "notListening"], "notListening"],
      // The others do not hear this member either, or only this command cannot ask.
      [isolated, ["blocked", "permission"], undefined],
      [isolated, ["observers", undefined], undefined],
      [fault("settings"), ["notListening", undefined], undefined],
      [fault("identity"), ["limit", "notListening"], undefined],
      [fault("identity"), ["identity", undefined], "identity"],
      [undefined, ["notListening", undefined], undefined],
    ];
  for (const [own, found, code] of cases) {
    const cause = causeOf(own, found.map((each) => each && fault(each)));
    assertEquals(cause?.code, code, `${own?.code}: ${found}`);
  }
});

Deno.test("doctor: a member that cannot be reached is a fault if its peers do not hear it either", async () => {
  const settings = { gossipInterval: 100 };
  const factsWith = (alive: number) =>
    ({ self: "ada", settings, counts: { alive, suspected: 0 } }) as unknown as Facts;
  const other = (status: ObservedMember["status"], ageMs: number): ObservedMember => ({
    ...{ id: "ben", isSelf: false, status, address: "127.0.0.1:1", kinds: [], incarnation: "1" },
    block: status === "failed" ? { id: "ben", reason: "crashed", sinceMs: 0 } : null,
    heartbeat: { count: 1, ageMs },
    ...{ lacks: 0, hasAll: true },
  });
  const terminal = new FakeTerminal();
  const examine = (member: ObservedMember, alive = 2) =>
    examineOthers({
      ...{ scheme: "ws:", facts: factsWith(alive), members: [member] },
      explain: () => Promise.reject(new Error("The member cannot be asked.")),
    }, { terminal, options: { runtime: realRuntime }, signal: terminal.signal });
  const cases = [
    ["alive", 900, undefined, /only this command cannot reach it/],
    ["alive", 1_100, "notListening", /No process listens/],
    ["failed", 60_000, undefined, /It ended without leaving \(crashed\)/],
  ] as const;
  for (const [status, ageMs, code, pattern] of cases) {
    const diagnosis = await examine(other(status, ageMs));
    assertEquals(diagnosis?.fault?.code, code);
    assertMatch(diagnosis!.steps[0]!.seen, pattern);
  }
  assertEquals(await examine(other("left", 0)), undefined);
  const { fault } = (await examine(other("failed", 60_000), 1))!;
  assertEquals([fault?.code, fault?.todo], ["notListening", "Start it again."]);
  assertMatch(fault!.seen, /^"ben" at \S+: No process listens .* It ended without leaving \(crashed\)\.$/);
});
