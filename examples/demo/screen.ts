/**
 * The output of the demo: a timeline and tables.
 *
 * @module
 */

import * as colors from "../../deps/std_fmt.ts";
import type { MemberProcess } from "./member_process.ts";
import type { Load } from "./protocol.ts";

// No colors in a file, or with NO_COLOR.
colors.setColorEnabled(Deno.args.includes("--color") || Deno.stdout.isTerminal() && !Deno.noColor);

export const { bold, red } = colors;

const PALETTE = [colors.cyan, colors.green, colors.magenta, colors.blue, colors.yellow];
const started = performance.now();
const hues = new Map<string, (text: string) => string>();

/** A member's name in its own color, padded to `width`. */
export function name(id: string, width = 0): string {
  if (!hues.has(id)) hues.set(id, PALETTE[hues.size % PALETTE.length]!);
  return hues.get(id)!(id.padEnd(width));
}

/** Several names as a list in words. */
export function names(ids: readonly string[]): string {
  const [last, ...others] = ids.map((id) => name(id)).reverse();
  return others.length === 0 ? last ?? "no member" : `${others.reverse().join(", ")} and ${last}`;
}

/** Milliseconds as text, in seconds from 1,000 on. */
export function duration(ms: number): string {
  return ms < 1_000 ? `${Math.max(0, Math.round(ms))} ms` : `${(ms / 1_000).toFixed(2)} s`;
}

/** Prints a line with the time since the start of the demo. */
export function say(text: string): void {
  const time = `+${((performance.now() - started) / 1_000).toFixed(3)} s`;
  console.log(`${colors.dim(time.padStart(10))}  ${text}`);
}

/** Prints the title of a chapter. */
export function chapter(text: string): void {
  console.log(`\n${" ".repeat(12)}${colors.bold(text)}`);
}

/** Prints lines without a time. */
export function write(lines: readonly string[]): void {
  for (const line of lines) console.log(`${" ".repeat(12)}${line}`.trimEnd());
}

/** A bar with the first `count` of `total` places filled. */
export function progress(count: number, total: number): string {
  return colors.green("■".repeat(count)) + colors.dim("□".repeat(total - count));
}

/** A table with a row for each member and its view of the others. */
export function matrix(members: readonly MemberProcess[]): string[] {
  const rows = members.map((member) => `${name(member.id, 6)}  ${sightsOf(member, members)}`);
  return [`${colors.dim("sees".padStart(6))}  ${headOf(members)}`, ...rows];
}

/** The meaning of the signs in a {@linkcode matrix}. */
export const LEGEND = `${sign("alive")} alive   ${sign("left")} left   ${sign("crashed")} crashed`;

/** A table with each member's state, its last values and its last view. */
export function lastViews(members: readonly MemberProcess[]): string[] {
  const titles = ["member", "process", "state", "version", "load", "memory"];
  const head = `${colors.dim(titles.map(padded).join(""))}  ${colors.dim("sees")}  ${headOf(members)}`;
  return [head, ...members.map((member) => `${rowOf(member)}        ${sightsOf(member, members)}`)];
}

function rowOf({ id, pid, ended, values }: MemberProcess): string {
  const state = ended === undefined ? "running" : ended.is.signal === "SIGKILL" ? "killed" : "left";
  // The member's own values: `member.ts` sets a `Load` and a text.
  const load = values.load.get(id)!.is as unknown as Load;
  const version = String(values.version.get(id)!.is);
  const cells = [String(pid), state, version, load.average.toFixed(2), `${load.residentMiB} MiB`];
  return name(id, COLUMN) + cells.map(padded).join("");
}

const COLUMN = 9;

function padded(cell: string): string {
  return cell.padEnd(COLUMN);
}

function headOf(members: readonly MemberProcess[]): string {
  return members.map(({ id }) => name(id, 6)).join("");
}

function sightsOf(member: MemberProcess, others: readonly MemberProcess[]): string {
  return others.map(({ id }) => {
    const sight = member.sights.get(id)?.is;
    return sign(sight?.reason ?? sight?.status) + " ".repeat(5);
  }).join("");
}

function sign(kind: string | undefined): string {
  if (kind === "alive") return colors.green("●");
  if (kind === "left") return colors.yellow("○");
  if (kind === "crashed" || kind === "expired") return colors.red("×");
  return colors.dim("·");
}
