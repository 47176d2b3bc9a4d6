/**
 * The protocol between the benchmark and a member of any system: one JSON object per line. The benchmark writes
 * commands to the member's standard input, the member writes events to its standard output.
 *
 * | sent to the member | meaning                     |
 * | ------------------ | --------------------------- |
 * | `{"set": "a"}`     | Set this member's value.    |
 *
 * | sent by the member           | meaning                                                                |
 * | ---------------------------- | ---------------------------------------------------------------------- |
 * | `{"ready": "m0", "at": 1.5}` | This member runs and takes part. The value is its own id.              |
 * | `{"set": "a", "at": 1.5}`    | This member is about to set its value.                                 |
 * | `{"seen": "a", "at": 1.5}`   | The value of another member has arrived.                               |
 * | `{"members": 3, "at": 1.5}`  | So many members are alive in this member's view, including this one.   |
 * | `{"gone": "m1", "at": 1.5}`  | In this member's view that member is no longer alive.                  |
 *
 * `at` is the machine's clock in Unix milliseconds, with a fraction.
 *
 * @module
 */

/** Options of a member, as JSON in the program's last argument. */
export interface MemberOptions {
  readonly id: string;
  /** The port to listen on, at 127.0.0.1. */
  readonly port: number;
  /** Addresses of the first members as `host:port`, without this member. */
  readonly seeds: readonly string[];
  /** All members, for a system that needs the whole list. */
  readonly members: readonly { readonly id: string; readonly port: number }[];
  readonly gossipIntervalMs: number;
  readonly fanOut: number;
}

/** An event of a member. */
export type MemberEvent =
  & ({ readonly type: "members"; readonly subject: number } | {
    readonly type: "ready" | "set" | "seen" | "gone";
    readonly subject: string;
  })
  & {
    /** The machine's clock in Unix milliseconds. */
    readonly atMs: number;
  };

const TEXT_EVENTS = ["ready", "set", "seen", "gone"] as const;

/**
 * Parses one line of a member.
 *
 * @throws {SyntaxError} if it is none of the events.
 */
export function parseEvent(text: string): MemberEvent {
  const object: unknown = JSON.parse(text);
  if (typeof object !== "object" || object === null) throw unknownLine(text);
  const fields: ReadonlyMap<string, unknown> = new Map(Object.entries(object));
  const atMs = fields.get("at");
  if (fields.size !== 2 || typeof atMs !== "number" || !(atMs > 0)) throw unknownLine(text);
  const count = fields.get("members");
  if (Number.isSafeInteger(count)) return { type: "members", subject: count as number, atMs };
  for (const type of TEXT_EVENTS) {
    const subject = fields.get(type);
    if (typeof subject === "string") return { type, subject, atMs };
  }
  throw unknownLine(text);
}

/** The line of an event at this moment. */
export function formatEvent(type: "members", subject: number): string;
export function formatEvent(type: typeof TEXT_EVENTS[number], subject: string): string;
export function formatEvent(type: string, subject: number | string): string {
  return JSON.stringify({ [type]: subject, at: wallClockMs() });
}

/** The line that sets a value. */
export function formatSet(value: string): string {
  return JSON.stringify({ set: value });
}

/**
 * Parses a line sent to a member; returns the value to set.
 *
 * @throws {SyntaxError} if it is no command.
 */
export function parseSet(text: string): string {
  const { set }: { readonly set?: unknown } = Object(JSON.parse(text));
  if (typeof set !== "string") throw unknownLine(text);
  return set;
}

/** The machine's clock in Unix milliseconds. `Date.now()` has no fraction. */
export function wallClockMs(): number {
  return performance.timeOrigin + performance.now();
}

function unknownLine(text: string): SyntaxError {
  return new SyntaxError(`Unknown line: ${text}`);
}
