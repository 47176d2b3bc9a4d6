/**
 * A small, seeded random number generator, for repeatable runs.
 *
 * @module
 */

/**
 * Returns a generator of numbers of at least 0 and less than 1: xoshiro128**, seeded by splitmix32. Equal seeds give
 * equal numbers. The numbers can be predicted, so use them in simulations, and never for secrets.
 */
export function seededRandom(seed: number): () => number {
  let state = Math.trunc(seed) | 0;
  const next = () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return mixed ^ (mixed >>> 15);
  };
  let a = next(), b = next(), c = next(), d = next();
  return () => {
    const scrambled = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    return (scrambled >>> 0) / 2 ** 32;
  };
}

function rotateLeft(bits: number, by: number): number {
  return (bits << by) | (bits >>> (32 - by));
}
