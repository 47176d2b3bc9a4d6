/**
 * Weighted rendezvous hashing: every member computes the owners of a key from the candidates alone. A candidate that
 * joins or leaves moves only the keys that it gains or loses.
 *
 * @module
 */

/** A member that a key may be given to. */
export interface Ranked {
  readonly id: string;
  /** Above 0. A candidate of weight 2 gets twice as many keys as a candidate of weight 1. */
  readonly weight: number;
  /** The zone. All candidates without a zone form one further zone. */
  readonly zone: string | undefined;
}

interface Scored {
  readonly candidate: Ranked;
  readonly score: number;
}

/** The ids of the owners of a key, best first. Each zone gets a second owner only after all zones have one. */
export function ownersOf<T extends Ranked>(
  key: string,
  candidates: readonly T[],
  { replicas }: { readonly replicas: number },
): readonly string[] {
  const scored = candidates.map((candidate) => ({ candidate, score: scoreOf(key, candidate) }));
  if (replicas === 1) {
    return scored.length === 0
      ? []
      : [scored.reduce((best, each) => order(each, best) < 0 ? each : best).candidate.id];
  }
  scored.sort(order);
  const owners: string[] = [];
  let left = scored.map(({ candidate }) => candidate);
  // mutant move-bound 2: one turn more adds no owner.
  while (left.length > 0 && owners.length < replicas) {
    const zones = new Set<string | undefined>();
    const passed: T[] = [];
    for (const candidate of left) {
      if (zones.has(candidate.zone)) passed.push(candidate);
      else if (owners.length < replicas) owners.push(candidate.id);
      zones.add(candidate.zone);
    }
    left = passed;
  }
  return owners;
}

function order(one: Scored, other: Scored): number {
  // mutant move-bound, replace-value: no two candidates have one score.
  return other.score - one.score || (one.candidate.id < other.candidate.id ? -1 : 1);
}

/** The logarithmic score: each candidate has the best score with a probability in proportion to its weight. */
function scoreOf(key: string, { id, weight }: Ranked): number {
  // mutant replace-value 1, swap-arithmetic 1: any fraction keeps the argument of the logarithm above 0.
  // The length keeps `a` and `bc` apart from `ab` and `c`.
  const unit = (hash53(`${key.length}:${key}${id}`) + 0.5) / 2 ** 53;
  return -weight / Math.log(unit);
}

/** A hash of 53 bits (cyrb53, in the public domain). It spreads well, and is not a protection against an attacker. */
export function hash53(text: string, seed = 0): number {
  let [high, low] = [0xdeadbeef ^ seed, 0x41c6ce57 ^ seed];
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    high = Math.imul(high ^ unit, 2654435761);
    low = Math.imul(low ^ unit, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return 4294967296 * (2097151 & low) + (high >>> 0);
}
