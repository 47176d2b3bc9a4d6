/**
 * Reads the text of metrics.
 *
 * @module
 */

/** The value of a series, such as `hearsay_members{status="alive"}`. Throws if there is none. */
export function valueIn(text: string, series: string): number {
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  if (line === undefined) throw new Error(`There is no ${series} in:\n${text}`);
  return Number(line.slice(series.length + 1));
}

/** The names of all metrics that a text declares. */
export function namesIn(text: string): string[] {
  return [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name!);
}
