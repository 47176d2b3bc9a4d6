/**
 * Measures several subjects in turn, so that other load of the machine affects all of them alike. The result is the
 * median.
 *
 * @module
 */

/** Code to measure. */
export interface Subject {
  readonly name: string;
  /** Runs it once. May return the milliseconds to count, if setup must not count. */
  readonly run: () => number | void | Promise<number | void>;
}

/** Options of {@linkcode measure}. */
export interface MeasureOptions {
  /** Samples per subject, after a quarter as many for the warm-up. */
  readonly samples?: number;
  /** The minimum length of a sample in milliseconds; faster code is repeated. */
  readonly sampleMs?: number;
}

/** The most repetitions per sample. */
const MAX_REPEATS = 1 << 16;

/** The median time of each subject in milliseconds, by name. */
export async function measure(
  subjects: readonly Subject[],
  options: MeasureOptions = {},
): Promise<Map<string, number>> {
  const { samples = 31, sampleMs = 2 } = options;
  const repeats = new Map<Subject, number>();
  for (const subject of subjects) repeats.set(subject, await repeatsFor(subject, sampleMs));
  const times = new Map<Subject, number[]>(subjects.map((subject) => [subject, []]));
  const warmUp = Math.ceil(samples / 4);
  for (let sample = -warmUp; sample < samples; sample++) {
    // Another subject goes first each time, so that none always follows the same one.
    for (let turn = 0; turn < subjects.length; turn++) {
      const subject = subjects[(turn + sample + warmUp) % subjects.length]!;
      const ms = await timeOf(subject, repeats.get(subject)!);
      if (sample >= 0) times.get(subject)!.push(ms);
    }
  }
  return new Map(subjects.map((subject) => [subject.name, median(times.get(subject)!)]));
}

/** The median. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

async function repeatsFor(subject: Subject, sampleMs: number): Promise<number> {
  for (let repeats = 1; repeats < MAX_REPEATS; repeats *= 2) {
    if (await timeOf(subject, repeats) * repeats >= sampleMs) return repeats;
  }
  return MAX_REPEATS;
}

async function timeOf({ run }: Subject, repeats: number): Promise<number> {
  let counted = 0;
  const start = performance.now();
  for (let repeat = 0; repeat < repeats; repeat++) {
    const returned = run();
    // An `await` of a non-promise would take longer than much of the measured code.
    counted += (returned instanceof Promise ? await returned : returned) ?? 0;
  }
  return (counted || performance.now() - start) / repeats;
}
