/**
 * `hearsay get`, `set` and `watch`: the values of a key.
 *
 * @module
 */

import { printable, printableJson } from "../../common/printable.ts";
import type { JsonValue } from "../../engine/types.ts";
import type { Observer } from "../../observer/client.ts";
import type { ObservedValue, ValuesPage } from "../../observer/protocol.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { type Column, timeOfDay } from "../paint.ts";
import type { CommonFlags, Run } from "../program.ts";
import { askedLeft, connect, keyIn, targetOf } from "../target.ts";

/** The flags of `hearsay get`. */
interface GetFlags extends CommonFlags {
  readonly member?: string;
}

/** The most pages: 100,000 values. */
const MAX_PAGES = 200;

const COLUMNS: readonly Column<ObservedValue>[] = [
  { title: "MEMBER", text: ({ memberId }) => memberId, mayShrink: true },
  { title: "NUMBER", text: ({ sequenceNumber }) => printable(String(sequenceNumber)), align: "right" },
  { title: "AT", text: ({ localTimestampUnixMilliseconds: at }) => timeOfDay(at) },
  { title: "VALUE", text: ({ value }) => printableJson(value), mayShrink: true },
];

/** Prints the values of a key. */
export const get: Run<GetFlags> = async ({ terminal, screen }, args, flags) => {
  const key = keyIn(args);
  await using observer = await connect(await targetOf(flags, terminal), terminal.signal);
  const values = await allValues(observer, key);
  const { member } = flags;
  const shown = member === undefined ? values : values.filter(({ memberId }) => memberId === member);
  if (screen.isJson) screen.json({ key, values: shown });
  // A single value is printed without a table, for scripts.
  else if (member !== undefined && shown[0]) screen.line(printableJson(shown[0].value));
  else if (shown.length > 0) screen.lines(screen.table(shown, COLUMNS));
  if (shown.length > 0) return EXIT.ok;
  const subject = member === undefined
    ? "No member has a value"
    : `The member ${JSON.stringify(printable(member, 100))} has no value`;
  const text = `${subject} under ${JSON.stringify(printable(key, 100))}, as ${
    printable(observer.welcome.self, 100)
  } knows it.`;
  if (!screen.isJson) terminal.writeError(`hearsay: ${text}\n`);
  return EXIT.fault;
};

async function allValues(observer: Observer, key: string): Promise<ObservedValue[]> {
  const all: ObservedValue[] = [];
  let after: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const { values, next } = await observer.ask<ValuesPage>("values", {
      key,
      ...(after !== undefined && { after }),
    });
    all.push(...values);
    if (next === undefined) break;
    after = next;
  }
  return all;
}

/** The flags of `hearsay set`. */
interface SetFlags extends CommonFlags {
  readonly delete?: boolean;
}

/** Lets the asked member set a key of its own. */
export const set: Run<SetFlags> = async ({ terminal, screen }, [name, text], flags) => {
  const key = keyIn([name]);
  if ((text === undefined) === (flags.delete !== true)) {
    throw new CommandFailure(EXIT.usage, "Either a value as JSON or --delete must be given, and not both.");
  }
  const value = text === undefined ? undefined : valueIn(text);
  await using observer = await connect(await targetOf(flags, terminal), terminal.signal);
  const answer = await observer.ask<Readonly<Record<string, JsonValue>>>("set", {
    key,
    ...(value !== undefined && { value }),
  });
  if (screen.isJson) screen.json({ key, ...answer });
  else if (text !== undefined) {
    const of = printable(observer.welcome.self, 100);
    screen.line(
      `${of} set ${JSON.stringify(printable(key, 100))} (number ${
        printable(String(answer["sequenceNumber"]))
      }).`,
    );
  } else screen.line(answer["deleted"] === true ? "Deleted." : "It was not set.");
  return text === undefined && answer["deleted"] !== true ? EXIT.fault : EXIT.ok;
};

function valueIn(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    // The quotes are for a shell.
    const hint = `'${JSON.stringify(printable(text, 40))}'`;
    const given = JSON.stringify(printable(text, 40));
    throw new CommandFailure(
      EXIT.usage,
      `The value must be JSON; got ${given}. A text needs quotes of its own: ${hint}.`,
    );
  }
}

/** Follows the values of a key. */
export const watch: Run = async ({ terminal, screen }, args, flags) => {
  const key = keyIn(args);
  const { signal } = terminal;
  await using observer = await connect(await targetOf(flags, terminal), signal);
  try {
    for await (const { event, atMs = 0, lost } of await observer.follow({ key })) {
      if (screen.isJson) screen.json(event ? { atUnixMilliseconds: atMs, ...event } : { lost });
      else if (event) {
        const { memberId, value, deleted, sequenceNumber } = event;
        const shown = deleted === true ? screen.paint("deleted", "dim") : printableJson(value ?? null);
        const head = `${timeOfDay(atMs)}  ${printable(String(memberId), 100)}  ${
          printable(String(sequenceNumber))
        }  `;
        screen.line(head + screen.cut(shown, screen.columns - head.length));
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (!signal.aborted) throw askedLeft(observer);
};
