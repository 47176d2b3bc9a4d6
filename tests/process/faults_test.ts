import { assert, assertEquals } from "../../deps/std_assert.ts";
import type { MemberOptions } from "./member.ts";
import { freePort } from "./ports.ts";
import { eventually, Program } from "./program.ts";

const CONFIG = {
  gossipInterval: 100,
  gossipRequestTimeout: 300,
  heartbeatExpiration: 1_500,
  blockedProbeInterval: 500,
  maxBackoff: 300,
};

/** A line of a member's output. */
interface Printed {
  readonly type: string;
  readonly memberId?: string;
  readonly reason?: string;
  readonly value?: unknown;
  readonly members?: readonly string[];
  readonly flush?: { readonly flushed: boolean };
  readonly port?: number;
  readonly skipped?: number;
}

/** A member in its own process. */
class MemberProcess implements AsyncDisposable {
  readonly program: Program;
  readonly id: string;
  port = 0;

  private constructor(id: string, options: Omit<MemberOptions, "id">) {
    this.id = id;
    this.program = Program.member({ id, ...options });
  }

  static async started(id: string, options: Partial<Omit<MemberOptions, "id">> = {}): Promise<MemberProcess> {
    const member = new MemberProcess(id, { port: freePort(), seeds: [], config: CONFIG, ...options });
    await member.program.until(/"listening"/);
    member.port = member.printed("listening")[0]!.port!;
    return member;
  }

  get address(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** Its events of a type. */
  printed(type: string): Printed[] {
    return this.program.lines.flatMap((line) => {
      const event = line.startsWith("{") ? JSON.parse(line) as Printed : { type: "" };
      return event.type === type ? [event] : [];
    });
  }

  blocked(id: string, reason?: string): boolean {
    return this.printed("MemberBlocked").some((event) =>
      event.memberId === id && (!reason || event.reason === reason)
    );
  }

  /** True if it has received this value of a member's key `k`. */
  hears(id: string, value: string): boolean {
    return this.printed("GossipUpdate").some((event) => event.memberId === id && event.value === value);
  }

  /** Its members with their status. */
  async members(): Promise<readonly string[]> {
    const before = this.printed("members").length;
    await this.program.type("members");
    await eventually(
      `${this.id} prints its members`,
      () => Promise.resolve(this.printed("members").length > before),
    );
    return this.printed("members").at(-1)!.members!;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.program[Symbol.asyncDispose]();
  }
}

/** Three members that have found each other. */
async function three(
  config: MemberOptions["config"] = CONFIG,
): Promise<readonly [MemberProcess, MemberProcess, MemberProcess]> {
  const a = await MemberProcess.started("a", { config });
  const [b, c] = await Promise.all(
    ["b", "c"].map((id) => MemberProcess.started(id, { seeds: [a.address], config })),
  );
  await allAlive([a, b!, c!]);
  return [a, b!, c!];
}

async function allAlive(members: readonly MemberProcess[]): Promise<void> {
  const expected = members.map(({ id }) => `${id} alive`).sort();
  for (const member of members) {
    await eventually(`${member.id} sees ${expected}`, async () => {
      const alive = (await member.members()).filter((each) => each.endsWith(" alive"));
      return alive.join() === expected.join();
    });
  }
}

function becomesTrue(
  what: string,
  isTrue: () => boolean,
  options?: { readonly withinMs: number },
): Promise<void> {
  return eventually(what, () => Promise.resolve(isTrue()), options);
}

Deno.test("suspension: a process suspended for longer than heartbeatExpiration is blocked, is unblocked when it resumes, and blocks no member (R10, E9)", async () => {
  const [a, b, c] = await three();
  await using _a = a, _b = b, _c = c;
  b.program.kill("SIGSTOP");
  await becomesTrue("both block it", () => a.blocked("b", "expired") && c.blocked("b", "expired"));
  await new Promise((resolve) => setTimeout(resolve, CONFIG.heartbeatExpiration));
  b.program.kill("SIGCONT");
  await allAlive([a, b, c]);
  await b.program.type("set back");
  await becomesTrue("its value spreads", () => a.hears("b", "back") && c.hears("b", "back"));
  assertEquals(b.printed("MemberBlocked"), []);
});

Deno.test("suspension: a member with its event loop blocked for 5 s blocks no member and skips the missed rounds (E9, R2.5)", async () => {
  const [a, b, c] = await three();
  await using _a = a, _b = b, _c = c;
  await b.program.type("block 5000");
  await b.program.until(/"unblocked"/);
  await allAlive([a, b, c]);
  assertEquals(b.printed("MemberBlocked"), []);
  assert(a.blocked("b", "expired"));
  await b.program.type("memory");
  await b.program.until(/"memory"/);
  // About fifty rounds were due. They are skipped, not caught up.
  const { skipped } = b.printed("memory")[0]!;
  assert(skipped! >= 40, `${skipped} rounds were skipped`);
});

Deno.test("leaving: after SIGTERM under load all members know that it left, and its process ends with 0 (R9)", async () => {
  const [a, b, c] = await three();
  await using _a = a, _b = b, _c = c;
  await b.program.type("load");
  await new Promise((resolve) => setTimeout(resolve, 500));
  b.program.kill("SIGTERM");
  const { code } = await b.program.ended();
  assertEquals([code, b.printed("stopped")[0]?.flush?.flushed], [0, true]);
  await becomesTrue("both know that it left", () => a.blocked("b", "left") && c.blocked("b", "left"), {
    withinMs: 3_000,
  });
});

Deno.test("crash detection: all members block a killed process as crashed within 3 s (C1, C3)", async () => {
  // Default settings: expiration alone would take 20 s.
  const [a, b, c] = await three({});
  await using _a = a, _b = b, _c = c;
  b.program.kill("SIGKILL");
  await becomesTrue("both block it", () => a.blocked("b", "crashed") && c.blocked("b", "crashed"), {
    withinMs: 3_000,
  });
  for (const member of [a, c]) {
    assertEquals(member.printed("MemberSuspected").map(({ memberId }) => memberId), ["b"]);
    assertEquals(member.printed("MemberBlocked").map(({ memberId }) => memberId), ["b"]);
  }
});

Deno.test("crash detection: a process suspended for 2 s is not suspected and suspects no member (C1)", async () => {
  const [a, b, c] = await three({});
  await using _a = a, _b = b, _c = c;
  b.program.kill("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  b.program.kill("SIGCONT");
  await b.program.type("set back");
  await becomesTrue("its value spreads", () => a.hears("b", "back") && c.hears("b", "back"));
  await allAlive([a, b, c]);
  for (const member of [a, b, c]) {
    assertEquals([member.printed("MemberSuspected"), member.printed("MemberBlocked")], [[], []], member.id);
  }
});

Deno.test("incarnation: a member killed and restarted ten times with one id and port is accepted each time (E1, E11)", async () => {
  const [a, b, c] = await three();
  await using _a = a, _b = b, _c = c;
  let last = b;
  for (let time = 1; time <= 10; time++) {
    last.program.kill("SIGKILL");
    await last[Symbol.asyncDispose]();
    last = await MemberProcess.started("b", { port: b.port, seeds: [a.address, c.address] });
    await last.program.type(`set time-${time}`);
    await becomesTrue(
      `${time}: both receive it`,
      () => a.hears("b", `time-${time}`) && c.hears("b", `time-${time}`),
    );
  }
  await using _last = last;
  await allAlive([a, last, c]);
});

Deno.test("joining: members that are all killed and restarted on their ports with new ids find each other (R7)", async () => {
  const before = await three();
  const ports = before.map(({ port }) => port);
  const addresses = before.map(({ address }) => address);
  for (const { program } of before) program.kill("SIGKILL");
  for (const member of before) await member[Symbol.asyncDispose]();
  const after = await Promise.all(
    ports.map((port, index) => MemberProcess.started(`new-${index}`, { port, seeds: addresses })),
  );
  const [a, b, c] = after as [MemberProcess, MemberProcess, MemberProcess];
  await using _a = a, _b = b, _c = c;
  await allAlive(after);
});

/** A TCP proxy between members that can cut, stall and slow connections. */
class Proxy implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections = new Set<Deno.Conn>();
  readonly #serving: Promise<void>;
  readonly #to: number;
  mode: "pass" | "stall" | "trickle" = "pass";

  constructor(to: number) {
    this.#to = to;
    this.#serving = this.#serve();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  cut(): void {
    for (const connection of this.#connections) close(connection);
    this.#connections.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.mode = "pass";
    this.#listener.close();
    this.cut();
    await this.#serving;
  }

  async #serve(): Promise<void> {
    const all: Promise<void>[] = [];
    try {
      for await (const near of this.#listener) all.push(this.#carry(near));
    } catch {
      // The listener was closed.
    }
    await Promise.all(all);
  }

  async #carry(near: Deno.Conn): Promise<void> {
    this.#connections.add(near);
    try {
      const far = await Deno.connect({ hostname: "127.0.0.1", port: this.#to });
      this.#connections.add(far);
      await Promise.all([this.#pump(near, far), this.#pump(far, near)]);
    } catch {
      close(near);
    }
  }

  async #pump(from: Deno.Conn, to: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(16_384);
    try {
      for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
        while (this.mode === "stall") await new Promise((resolve) => setTimeout(resolve, 10));
        const step = this.mode === "trickle" ? 200 : count;
        for (let at = 0; at < count; at += step) {
          if (this.mode === "trickle") await new Promise((resolve) => setTimeout(resolve, 2));
          await writeAll(to, buffer.subarray(at, Math.min(count, at + step)));
        }
      }
    } catch {
      // One end was closed; both are closed below.
    }
    close(from);
    close(to);
  }
}

async function writeAll(to: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It was closed before.
  }
}

Deno.test("connections: values arrive over a proxy that cuts, stalls and slows connections", async () => {
  const port = freePort();
  await using proxy = new Proxy(port);
  // Other members reach `a` through the proxy alone; `a` dials them directly.
  await using a = await MemberProcess.started("a", { port, advertised: proxy.port });
  await using b = await MemberProcess.started("b", { seeds: [`ws://127.0.0.1:${proxy.port}`] });
  await allAlive([a, b]);
  for (const [time, mode] of (["pass", "trickle", "stall", "pass"] as const).entries()) {
    proxy.cut();
    proxy.mode = mode;
    // During a stall both dial again, and one direction is enough.
    await b.program.type(`set b-${time}`);
    await a.program.type(`set a-${time}`);
    await becomesTrue(`${mode}: both receive`, () => a.hears("b", `b-${time}`) && b.hears("a", `a-${time}`));
  }
  await allAlive([a, b]);
});
