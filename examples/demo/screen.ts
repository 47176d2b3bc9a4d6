/**
 * How the demo looks: a timeline, and tables.
 *
 * @module
 */

import * as colours from "../../deps/std_fmt.ts";
import type { MemberProcess } from "./member_process.ts";
import type { Load, Sight } from "./protocol.ts";

// What is written into a file, or for someone who does not want it, is free of colours.
colours.setColorEnabled(Deno.stdout.isTerminal() && !Deno.noColor);

export const { bold, red } = colours;

const PALETTE = [colours.cyan, colours.green, colours.magenta, colours.blue, colours.yellow];
const started = performance.now();
const hues = new Map<string, (text: string) => string>();

/** A member's name in the colour that is its own, and padded to a width where one is given. */
export function name(id: string, width = 0): string {
  if (!hues.has(id)) hues.set(id, PALETTE[hues.size % PALETTE.length]!);
  return hues.get(id)!(id.padEnd(width));
}

/** Several names, as people say them. */
export function names(ids: readonly string[]): string {
  const [last, ...others] = ids.map((id) => name(id)).reverse();
  return others.length === 0 ? last ?? "nobody" : `${others.reverse().join(", ")} and ${last}`;
}

/** Milliseconds, as people say them. */
export function duration(ms: number): string {
  return ms < 1_000 ? `${Math.max(0, Math.round(ms))} ms` : `${(ms / 1_000).toFixed(2)} s`;
}

/** Says what has come true, with the time since the demo began. */
export function say(text: string): void {
  const time = `+${((performance.now() - started) / 1_000).toFixed(3)} s`;
  console.log(`${colours.dim(time.padStart(10))}  ${text}`);
}

/** Begins a chapter. */
export function chapter(text: string): void {
  console.log(`\n${" ".repeat(12)}${colours.bold(text)}`);
}

/** Writes lines below the text of the timeline. */
export function write(lines: readonly string[]): void {
  for (const line of lines) console.log(`${" ".repeat(12)}${line}`.trimEnd());
}

/** The first of so many places filled: how far something has come. */
export function progress(count: number, total: number): string {
  return colours.green("■".repeat(count)) + colours.dim("□".repeat(total - count));
}

/** Who sees whom, a row for each of the members that look. */
export function matrix(members: readonly MemberProcess[], rows = members): string[] {
  const width = Math.max(...members.map(({ id }) => id.length));
  const head = `${" ".repeat(width)}   ${members.map(({ id }) => name(id, width)).join("  ")}`;
  return [head, ...rows.map((row) => `${name(row.id, width)}   ${sightsOf(row, members, width)}`)];
}

/** The signs of a {@linkcode matrix}. */
export const LEGEND = `${sign("active")} alive   ${sign("left")} left   ${sign("expired")} expired`;

/** What each member saw last, and how it ended. */
export function lastViews(members: readonly MemberProcess[]): string[] {
  const width = Math.max(...members.map(({ id }) => id.length));
  const columns = [["member", width], ["process", 8], ["is", 7], ["version", 7], ["load", 5], [
    "memory",
    7,
  ]] as const;
  const title = columns.map(([text, size]) => text.padEnd(Math.max(size, text.length))).join("  ");
  const seen = members.map(({ id }) => name(id, width)).join("  ");
  const head = `${colours.dim(title)}   ${colours.dim("sees")}  ${seen}`;
  return [
    head,
    ...members.map((member) => `${rowOf(member, columns)}         ${sightsOf(member, members, width)}`),
  ];
}

function rowOf(member: MemberProcess, columns: readonly (readonly [string, number])[]): string {
  const load = member.values.load.get(member.id)?.is as unknown as Load | undefined;
  const cells = [
    member.id,
    String(member.pid),
    fateOf(member),
    String(member.values.version.get(member.id)?.is ?? "–"),
    load ? load.average.toFixed(2) : "–",
    load ? `${load.residentMiB} MiB` : "–",
  ];
  const padded = cells.map((cell, index) => {
    const [text, size] = columns[index]!;
    return cell.padEnd(Math.max(size, text.length));
  });
  return [name(member.id, padded[0]!.length), ...padded.slice(1)].join("  ");
}

function fateOf({ ended }: MemberProcess): string {
  if (ended === undefined) return "running";
  return ended.is.signal === "SIGKILL" ? "killed" : "left";
}

function sightsOf(member: MemberProcess, others: readonly MemberProcess[], width: number): string {
  return others.map(({ id }) => {
    const sight = member.sights.get(id)?.is;
    return sign(sight && (sight.reason ?? sight.status)) + " ".repeat(width - 1);
  }).join("  ");
}

function sign(kind: Sight["status"] | string | undefined): string {
  if (kind === "active") return colours.green("●");
  if (kind === "left") return colours.yellow("○");
  if (kind === "expired") return colours.red("×");
  return colours.dim("·");
}
