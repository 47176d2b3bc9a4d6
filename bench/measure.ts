/**
 * Measuring side by side: everything that is compared takes turns in one run, so that whatever else the machine
 * does falls on all alike; what is told is the median.
 *
 * @module
 */

/** Something to be measured. */
export interface Subject {
  readonly name: string;
  /** Does it once, and returns nothing; or how many milliseconds of what it did count. */
  readonly run: () => number | void | Promise<number | void>;
}

/** How long to measure. */
export interface MeasureOptions {
  /** How many samples are taken of each subject, after some that do not count. */
  readonly samples?: number;
  /** How many milliseconds a sample takes at least: what is faster is repeated. */
  readonly sampleMs?: number;
}

/** The most repetitions in a sample. */
const MAX_REPEATS = 1 << 16;

/** The median of what each subject takes, in milliseconds, by its name. */
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
    // Each time another one goes first, so that nobody always runs in another's wake.
    for (let turn = 0; turn < subjects.length; turn++) {
      const subject = subjects[(turn + sample + warmUp) % subjects.length]!;
      const ms = await timeOf(subject, repeats.get(subject)!);
      if (sample >= 0) times.get(subject)!.push(ms);
    }
  }
  return new Map(subjects.map((subject) => [subject.name, median(times.get(subject)!)]));
}

/** The middle one of some numbers. */
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
    // Awaiting what is no promise would take longer than much of what is measured.
    counted += (returned instanceof Promise ? await returned : returned) ?? 0;
  }
  return (counted || performance.now() - start) / repeats;
}
