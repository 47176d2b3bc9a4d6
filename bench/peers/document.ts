/**
 * The page with the results.
 *
 * @module
 */

import { type Load, type Measurement, QUIET_MS } from "./measure_system.ts";
import { median } from "../measure.ts";
import { FIGURES, type Figures, medianOfRuns, ratios } from "./statistics.ts";

/** One system with its runs; it has none if the system could not be built. */
export interface Row {
  readonly name: string;
  readonly settings: string;
  /** The version, or why the system was not measured. */
  readonly version: string;
  readonly runs: readonly Measurement[];
}

/** Date, machine and settings of the measurement. */
export interface Circumstances {
  /** The date, as `2026-01-31`. */
  readonly day: string;
  readonly command: string;
  readonly cores: number;
  /** The machine's load average over one minute, before the first run. */
  readonly loadAverage: number;
  readonly load: Load;
  readonly runs: number;
}

const HEADERS: Readonly<Record<keyof Figures, string>> = {
  spreadMedianMs: "set → seen by all, median",
  spreadP95Ms: "p95",
  idleBytes: "wire bytes per member and second, idle",
  idleCpuSeconds: "CPU s per member and minute, idle",
  killSeconds: "SIGKILL → known to all",
  joinSeconds: "all started at once → all see all",
};

const UNITS: Readonly<Record<keyof Figures, (figure: number) => string>> = {
  spreadMedianMs: (ms) => `${Math.round(ms)} ms`,
  spreadP95Ms: (ms) => `${Math.round(ms)} ms`,
  idleBytes: (bytes) => bytes.toLocaleString("en", { maximumSignificantDigits: 3 }),
  idleCpuSeconds: (seconds) => seconds.toFixed(2),
  killSeconds: (seconds) => `${seconds.toFixed(1)} s`,
  joinSeconds: (seconds) => `${seconds.toFixed(2)} s`,
};

/** The page as Markdown, before formatting. The first row is compared with the best of the others. */
export function formatDocument(rows: readonly Row[], circumstances: Circumstances): string {
  const { day, command, cores, loadAverage, load, runs } = circumstances;
  const idleSeconds = load.idleMs / 1000;
  return `# Benchmarks against peers

Read this page to compare Hearsay with other systems of its kind, on speed, traffic and processor time. To measure
again, run \`deno task bench:peers\`: it writes this page. It starts ${load.members} processes of each system, one system
after another, on one machine, with a gossip interval of ${load.gossipIntervalMs} ms and a fan-out of ${load.fanOut}.

${formatTable(rows)}

- Measured on ${day} by \`${command}\`, on ${cores} cores, with a load average of ${
    loadAverage.toFixed(2)
  } before the
  start. ${runs === 1 ? "One run." : `Each figure is the median of ${runs} runs.`}
- Before the first set the members run for ${
    load.warmUpMs / 1000
  } s, so that the runtimes have compiled their hot code.
  Members that have just started are slower and cost more: \`--warm-up 0\`.
- Set → seen by all: from a set until the last member has the value, on the machine's clock; ${load.sets} sets in a
  run, one at a time, at random moments. The measuring process sleeps for ${QUIET_MS} ms after each set, so that it takes
  no processor time from the members.
- Wire bytes: ${bytesNote(rows)}
- CPU: user and system time of the processes in the same ${idleSeconds} s.
- SIGKILL → known to all: until the last member has reported the loss${
    load.kill ? "" : "; left out by `--no-kill`"
  }.
- All started at once: from the time when the last process is ready until every member sees all ${load.members}.
- ${joinNote(rows, cores)}
- The last line is Hearsay's figure divided by the best figure of the others. Below 1, Hearsay is better.${
    falseNote(rows)
  }

Versions and settings. All other settings are each system's defaults:

${rows.map(({ name, version, settings }) => `- ${name} ${version}; ${settings}.`).join("\n")}
`;
}

function formatTable(rows: readonly Row[]): string {
  const measured = rows.filter(({ runs }) => runs.length > 0);
  const figures = measured.map(({ runs }) => medianOfRuns(runs.map((run) => run.figures)));
  const lines = measured.map(({ name }, index) => [
    name,
    ...FIGURES.map((figure) => {
      const value = figures[index]![figure];
      return value === null ? "n/a" : UNITS[figure](value);
    }),
  ]);
  const [own, ...others] = figures;
  if (own && others.length > 0 && measured[0] === rows[0]) {
    const compared = ratios(own, others);
    lines.push([
      `${measured[0]!.name} / best other`,
      ...FIGURES.map((figure) => ratioText(compared[figure])),
    ]);
  }
  const header = ["system", ...FIGURES.map((figure) => HEADERS[figure])];
  const rule = header.map((_, index) => index === 0 ? "---" : "---:");
  return [header, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function ratioText(ratio: number | null): string {
  return ratio === null ? "n/a" : `${ratio.toPrecision(ratio < 100 ? 2 : 3)}×`;
}

function bytesNote(rows: readonly Row[]): string {
  const reasons = rows.flatMap(({ runs }) => runs.flatMap(({ whyNoBytes }) => whyNoBytes ?? []));
  return reasons.length > 0
    ? `not available, because ${reasons[0]}.`
    : "all bytes on loopback in a network namespace of its own, headers included, while no state changes.";
}

function joinNote(rows: readonly Row[], cores: number): string {
  const texts = rows.filter(({ runs }) => runs.length > 0).map(({ name, runs }) =>
    `${name} ${median(runs.map(({ joinCpuSeconds }) => joinCpuSeconds)).toFixed(1)} s`
  );
  return `In that time the processes used this much processor time together: ${texts.join(", ")}. ${
    cores > 1 ? `On ${cores} cores a start takes at least 1/${cores} of it` : "A start takes at least as long"
  }.`;
}

function falseNote(rows: readonly Row[]): string {
  const counts = rows.map(({ name, runs }) => ({
    name,
    count: runs.reduce((sum, { falselyGone }) => sum + falselyGone, 0),
  }));
  const some = counts.filter(({ count }) => count > 0);
  if (some.length === 0) return "\n- Before the kill, no system reported a member as gone.";
  const texts = some.map(({ name, count }) => `${name} ${count}`);
  return `\n- Reports of living members as gone: ${texts.join(", ")}.`;
}
