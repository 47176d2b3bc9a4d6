import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "../../deps/std_assert.ts";
import { EventStream, type HearsayEvent } from "../../contracts/event_stream.ts";
import type { GossiperClosed } from "../../gossiper/contract.ts";
import { ConfigurationError } from "../../options/configuration.ts";
import { join, type Node } from "../../node/join.ts";
import type { JoinOptions } from "../../node/join_options.ts";
import { LINES_PER_SUBJECT, LINES_PER_TYPE, PERIOD_MS } from "../../operations/log_limit.ts";
import { type LogFields, type Logger, type LogOptions, logTo } from "../../operations/mod.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { CLIENT, EXAMPLES, FAILURE } from "./event_examples.ts";
import { quietMember } from "./quiet_member.ts";

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** A logger that keeps its lines. */
class KeptLog implements Logger {
  readonly lines: Line[] = [];

  get messages(): string[] {
    return this.lines.map(({ message }) => message);
  }

  debug(message: string, fields: LogFields): void {
    this.lines.push({ level: "debug", message, fields });
  }
  info(message: string, fields: LogFields): void {
    this.lines.push({ level: "info", message, fields });
  }
  warn(message: string, fields: LogFields): void {
    this.lines.push({ level: "warn", message, fields });
  }
  error(message: string, fields: LogFields): void {
    this.lines.push({ level: "error", message, fields });
  }
}

/** Replaces methods of the console until disposal. */
class CapturedConsole implements Disposable {
  readonly calls: unknown[][] = [];
  readonly #before = { warn: console.warn, info: console.info };

  constructor() {
    console.warn = (...args: unknown[]) => void this.calls.push(args);
    console.info = (...args: unknown[]) => void this.calls.push(args);
  }

  [Symbol.dispose](): void {
    Object.assign(console, this.#before);
  }
}

/** The member "ada" on a virtual clock, and a log of it. */
async function logged(options: LogOptions = {}, join_: Partial<JoinOptions> = {}) {
  const { node, runtime } = await quietMember(join_);
  const kept = new KeptLog();
  const handle = logTo(node, kept, options);
  await runtime.settle();
  kept.lines.length = 0;
  return {
    node,
    runtime,
    handle,
    get lines() {
      return kept.lines;
    },
    get messages() {
      return kept.messages;
    },
    publish: async (...events: HearsayEvent[]) => {
      for (const event of events) node.events.publish(event);
      await runtime.settle();
    },
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  };
}

Deno.test("logTo: logs a warning as a sentence and its fields", async () => {
  await using log = await logged();
  await log.publish(CLIENT);
  assertEquals(log.lines, [{
    level: "warn",
    message: "Hearsay: a client at 10.0.0.9:4000 was refused: The token is missing.",
    fields: {
      cluster: "orders",
      self: "ada",
      event: "ClientRefused",
      remote: "10.0.0.9:4000",
      reason: "The token is missing.",
    },
  }]);
});

Deno.test("logTo: has a sentence and a level for every event", async () => {
  for (const [type, [event, level, sentence]] of Object.entries(EXAMPLES)) {
    await using log = await logged({ level: "debug" });
    await log.publish(event);
    const line = log.lines.find(({ fields }) => fields.event === type)!;
    assertEquals(line?.level, level, type);
    assertMatch(line.message, sentence);
    assert(!JSON.stringify(line).includes("secret"), `${type}: has the value of a key`);
  }
});

Deno.test("logTo: logs by level: trouble by default, then membership, then every event except heartbeats", async () => {
  const others: HearsayEvent[] = [
    { type: "GossipUpdate", memberId: "bob", key: "heathbeat", value: 5, sequenceNumber: 1, deleted: false },
    { type: "SelfBlocked", peerId: "bob", reason: "expired" },
    { type: "SelfBlocked", reason: "topology" },
  ];
  const events = [...Object.values(EXAMPLES).map(([event]) => event), ...others];
  const rank = ["debug", "info", "warn", "error"];
  for (const level of ["debug", "info", "warn", "error"] as const) {
    await using log = await logged({ level });
    await log.publish(...events);
    const levels = [...Object.values(EXAMPLES).map(([, of]) => of), "info", "warn"];
    const expected = levels.filter((of) => rank.indexOf(of) >= rank.indexOf(level)).length;
    const own = log.lines.filter(({ fields }) => fields.memberId !== "ada");
    assertEquals(own.length, expected, `${level}: ${log.messages.join("\n")}`);
    assert(!log.lines.some(({ fields }) => fields.key === "heathbeat"));
  }
  await using log = await logged();
  await log.publish(FAILURE);
  assertEquals(log.lines, []);
});

Deno.test("logTo: escapes and cuts texts of other members, and escapes format directives of a console", async () => {
  await using log = await logged({ level: "info" });
  const memberId = `\u001b[2J\r\n\u202e%c%s${"x".repeat(5_000)}`;
  await log.publish(
    { ...FAILURE, memberId },
    { ...CLIENT, reason: `${memberId}.` },
  );
  assertEquals(log.lines.length, 2);
  for (const { message, fields } of log.lines) {
    // deno-lint-ignore no-control-regex
    assert(!/[\u0000-\u001f\u202e]|%[cs]/.test(message), message);
    // deno-lint-ignore no-control-regex
    assert(Object.values(fields).every((value) => !/[\u0000-\u001f\u202e]/.test(String(value))));
    assert(JSON.stringify(fields).length < 1_000);
  }
  assert(log.messages[0]!.length < 300);
});

Deno.test("logTo: logs a few lines about a subject in a minute, then the number of lines left out", async () => {
  await using log = await logged({ level: "info" });
  for (let count = 0; count < LINES_PER_SUBJECT + 7; count++) {
    await log.publish({ ...CLIENT, remote: `10.0.0.9:${4_000 + count}` });
  }
  assertEquals(log.lines.length, LINES_PER_SUBJECT);
  // Another subject, and another event, have lines of their own.
  await log.publish({ ...CLIENT, remote: "10.0.0.8:1" }, FAILURE);
  assertEquals(log.lines.length, LINES_PER_SUBJECT + 2);
  await log.runtime.advance(PERIOD_MS);
  const line = log.lines.find(({ fields }) => "leftOut" in fields)!;
  assertEquals(line, {
    level: "warn",
    message:
      'Hearsay: 7 more lines about `ClientRefused` in 60 s were left out, most of them about "10.0.0.9".',
    fields: { cluster: "orders", self: "ada", event: "ClientRefused", leftOut: 7, subject: "10.0.0.9" },
  });
  const { length } = log.lines;
  await log.publish(CLIENT);
  assertEquals(log.lines.length, length + 1);
});

Deno.test("logTo: the lines about one event are bounded, however many subjects it has", async () => {
  await using log = await logged({ level: "info" });
  for (let count = 0; count < 2 * LINES_PER_TYPE; count++) {
    await log.publish({ ...CLIENT, remote: `10.${count % 256}.${count >> 8}.1:1` });
  }
  assertEquals(log.lines.length, LINES_PER_TYPE);
  await log.runtime.advance(PERIOD_MS);
  assertStringIncludes(
    log.messages.find((message) => message.includes("left out"))!,
    `${LINES_PER_TYPE} more lines about \`ClientRefused\` in 60 s were left out.`,
  );
});

Deno.test("logTo: disposal ends the log, logs the number of lines left out, and leaves no timer", async () => {
  await using log = await logged();
  for (let count = 0; count <= LINES_PER_SUBJECT; count++) await log.publish(CLIENT);
  const before = log.runtime.timers;
  log.handle[Symbol.dispose]();
  log.handle[Symbol.dispose]();
  assertEquals(log.runtime.timers, before - 1);
  assertEquals(log.lines.length, LINES_PER_SUBJECT + 1);
  assertStringIncludes(log.messages.at(-1)!, "1 more line about `ClientRefused` in 60 s was left out");
  await log.publish(CLIENT, { type: "Isolated" });
  assertEquals(log.lines.length, LINES_PER_SUBJECT + 1);
});

Deno.test("logTo: logs the end of the member", async () => {
  const log = await logged({ level: "info" });
  await log.node.stop();
  await log.runtime.settle();
  assertEquals(log.lines.at(-1), {
    level: "info",
    message: 'Hearsay: "ada" of cluster "orders" has left.',
    fields: { cluster: "orders", self: "ada", event: "Closed", reason: "stopped" },
  });
});

Deno.test("logTo: logs the failure of a gossiper, even if `join` did not make it", async () => {
  const events = new EventStream();
  const closed = Promise.withResolvers<GossiperClosed>();
  const kept = new KeptLog();
  const snapshot = () => ({ cluster: "orders" });
  using _log = logTo({ id: "bob", events, closed: closed.promise, snapshot }, kept);
  events.publish({ type: "Isolated" });
  events.close();
  closed.resolve({ reason: "failed", error: new Error("broken\n") });
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(kept.lines.map(({ level, fields }) => [level, fields.event, fields.self]), [
    ["warn", "Isolated", "bob"],
    ["error", "Closed", "bob"],
  ]);
  assertEquals(
    kept.messages[1],
    'Hearsay: "bob" of cluster "orders" failed, and no longer takes part: Error: broken\\u000a',
  );
});

Deno.test("logTo: logs the warnings of join in its place, so that each is logged once, until its disposal", async () => {
  using printed = new CapturedConsole();
  await using log = await logged({}, { log: true });
  const isolated: HearsayEvent = { type: "Isolated" };
  await log.publish(isolated);
  assertEquals([log.lines.length, printed.calls.length], [1, 0]);
  log.handle[Symbol.dispose]();
  await log.publish(isolated);
  assertEquals([log.lines.length, printed.calls.length], [1, 1]);
  assertEquals(printed.calls[0], [log.messages[0]]);
});

Deno.test("logTo: with the console, a warning of join is one line of one argument", async () => {
  using printed = new CapturedConsole();
  await using node = await join({ cluster: "orders", id: "ada", listen: { port: 0 } });
  using _log = logTo(node, console, { level: "info" });
  const seen = node.events.subscribe("Rejoined").getReader();
  node.events.publish({ type: "Isolated" });
  node.events.publish(FAILURE);
  node.events.publish({ type: "Rejoined" });
  await seen.read();
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(printed.calls.map((args) => args.length), [1, 1, 1]);
  const lines = printed.calls.flat().sort() as string[];
  assertMatch(lines[0]!, /^Hearsay: "ada" of cluster "orders" hears no other/);
  assertEquals(lines.slice(1), [
    'Hearsay: the member "bob" failed (crashed).',
    "Hearsay: this member has forgotten all others and is alone. It keeps looking for others.",
  ]);
});

Deno.test("logTo: with `log: false` it logs the warnings from before its call, and join prints no warning", async () => {
  using printed = new CapturedConsole();
  const runtime = new VirtualRuntime();
  await using node = await join({ cluster: "orders", id: "ada", listen: { port: 0 }, runtime, log: false });
  for (let count = 0; count < 100; count++) node.events.publish({ type: "Isolated" });
  await runtime.settle();
  assertEquals(printed.calls, []);
  const kept = new KeptLog();
  using _log = logTo(node, kept);
  await runtime.settle();
  assertEquals(kept.lines.length, LINES_PER_SUBJECT);
});

Deno.test("logTo: logs that a member is open to all, unless join has printed it", async () => {
  using printed = new CapturedConsole();
  for (const log of [true, false]) {
    await using node: Node = await join({
      cluster: "orders",
      advertise: { host: "10.0.0.5", port: 7001 },
      insecure: true,
      log,
      runtime: new VirtualRuntime(),
    });
    const kept = new KeptLog();
    using _log = logTo(node, kept);
    const all = [...printed.calls.splice(0).flat(), ...kept.messages].map(String);
    assertEquals(all.length, 1, all.join("\n"));
    assertMatch(
      all[0]!,
      /^Hearsay: ws:\/\/10\.0\.0\.5:7001 accepts every client .*because `insecure` is set/,
    );
    assertEquals(kept.lines.length, log ? 0 : 1);
  }
});

Deno.test("logTo: a logger that throws or rejects is reported once, and stops neither the member nor another log", async () => {
  using printed = new CapturedConsole();
  await using log = await logged();
  const fail = () => {
    throw new Error("disk full");
  };
  const reject = () => Promise.reject(new Error("no route"));
  using _throwing = logTo(log.node, { debug: fail, info: fail, warn: fail, error: fail });
  using _rejecting = logTo(log.node, { debug: reject, info: reject, warn: reject, error: reject });
  await log.publish({ type: "Isolated" }, CLIENT);
  assertEquals(log.lines.length, 2);
  assertEquals(printed.calls.flat().sort(), [
    "Hearsay: the logger of `logTo` threw Error: disk full. Its later errors are not shown.",
    "Hearsay: the logger of `logTo` threw Error: no route. Its later errors are not shown.",
  ]);
});

Deno.test("logTo: logs an error whose fields throw", async () => {
  using _printed = new CapturedConsole();
  await using log = await logged();
  const error = Object.defineProperty(new Error("a"), "message", {
    get() {
      throw new Error("no message");
    },
  });
  await log.publish({ type: "CallbackFailed", where: "onLost", error }, { type: "Isolated" });
  assertStringIncludes(log.messages[0]!, "onLost threw an error without a text");
  assertEquals(log.lines.length, 2);
});

/** The methods of a logger of `@std/log` 0.224, as its types declare them. */
interface StdLogger {
  debug<T>(msg: T extends (...args: never) => unknown ? never : T, ...args: unknown[]): T | undefined;
  info<T>(msg: T extends (...args: never) => unknown ? never : T, ...args: unknown[]): T | undefined;
  warn<T>(msg: T extends (...args: never) => unknown ? never : T, ...args: unknown[]): T | undefined;
  error<T>(msg: T extends (...args: never) => unknown ? never : T, ...args: unknown[]): T | undefined;
}

Deno.test("logTo: accepts a logger with the types of @std/log, and calls it with its `this`", async () => {
  const records: unknown[][] = [];
  class StdLog implements StdLogger {
    readonly #records = records;
    debug = <T>(): T | undefined => undefined;
    info = <T>(): T | undefined => undefined;
    error = <T>(): T | undefined => undefined;
    warn<T>(...args: unknown[]): T | undefined {
      this.#records.push(args);
      return undefined;
    }
  }
  await using log = await logged();
  const std: StdLogger = new StdLog();
  using _log = logTo(log.node, std);
  await log.publish({ type: "Isolated" });
  assertEquals(records, [[log.messages[0], log.lines[0]!.fields]]);
});

Deno.test("logTo: refuses a logger without its methods, and unknown options", async () => {
  await using log = await logged();
  const wrong = (logger: unknown, options: unknown = {}) =>
    assertThrows(() => logTo(log.node, logger as Logger, options as LogOptions), ConfigurationError).message;
  assertStringIncludes(wrong({ log() {} }), "logger");
  assertStringIncludes(wrong(undefined), "logger");
  assertStringIncludes(wrong(console, { level: "warning" }), "level");
  assertStringIncludes(wrong(console, { levels: "warn" }), "did you mean level?");
});

Deno.test("docs/operating.md: has the level of every event above debug", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/operating.md", import.meta.url));
  for (const [type, [, level]] of Object.entries(EXAMPLES)) {
    const named = [...page.matchAll(/^\| `"(\w+)"`.*$/gm)].filter(([row]) => row.includes(`\`${type}\``));
    const levels = named.map(([, each]) => each!);
    // Its level follows from its reason.
    const expected = type === "SelfBlocked" ? ["error", "warn", "info"] : level === "debug" ? [] : [level];
    assertEquals(levels, expected, type);
  }
});
