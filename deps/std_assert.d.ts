// Types of the functions that the tests use; the package `deno-std/assert/mod.js` has no types.

type Constructor<T> = abstract new (...args: never[]) => T;
type ErrorConstructorOf<E extends Error> = new (...args: never[]) => E;

/** The error of a failed assertion. */
export class AssertionError extends Error {
  constructor(message: string, options?: ErrorOptions);
}

/** Throws unless `expr` is truthy. */
export function assert(expr: unknown, msg?: string): asserts expr;
/** Throws unless both are equal at every depth. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void;
/** Throws if both are equal at every depth. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void;
/** Throws unless both are the same, as `Object.is` sees it. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T;
/** Throws if `actual` is `null` or `undefined`. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T>;
/** Throws unless `actual` is an instance of the class. */
export function assertInstanceOf<T>(
  actual: unknown,
  expectedType: Constructor<T>,
  msg?: string,
): asserts actual is T;
/** Throws unless `actual` is greater. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void;
/** Throws unless `actual` is greater or equal. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void;
/** Throws unless `actual` is less. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void;
/** Throws unless `actual` is less or equal. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void;
/** Throws unless the text matches. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void;
/** Throws unless the text contains the other. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void;
/** Throws unless `actual` has all fields of `expected`. */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any -- an interface has no index signature, so `unknown` would refuse it
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void;
/** Throws unless the function throws; returns the thrown value. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Throws unless the function throws an error of the class whose text contains `msgIncludes`; returns it. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: ErrorConstructorOf<E>,
  msgIncludes?: string,
  msg?: string,
): E;
/** Throws unless the promise rejects; resolves with the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Throws unless the promise rejects with an error of the class whose text contains `msgIncludes`. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorConstructorOf<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
/** Throws. */
export function fail(msg?: string): never;
