/**
 * Reads and writes on streams, each with a bound on its time.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "../../deps/std_assert.ts";
import type { Connection } from "../../contracts/cluster.ts";
import { HearsayError } from "../../common/errors.ts";
import type { Message } from "../../protocol/message.ts";

/** The longest time of any step before a test fails, in milliseconds. */
const BOUND_MS = 5_000;

export async function send(end: Connection, message: Message): Promise<void> {
  const writer = end.writable.getWriter();
  try {
    await writer.write(message);
  } finally {
    writer.releaseLock();
  }
}

export async function readOne<T>(stream: ReadableStream<T>): Promise<T> {
  const reader = stream.getReader();
  try {
    const { done, value } = await within(reader.read());
    assert(!done, "the stream has ended");
    return value;
  } finally {
    reader.releaseLock();
  }
}

export async function readAll<T>(stream: ReadableStream<T>): Promise<T[]> {
  return await within(Array.fromAsync(stream));
}

/** The state of a promise after this time: `pending`, or its outcome. */
export async function stateOf(promise: Promise<unknown>, withinMs = 0): Promise<string> {
  const { promise: late, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(resolve, withinMs, "pending");
  try {
    return await Promise.race([promise.then(() => "fulfilled", () => "rejected"), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The promise's outcome, which must come within {@linkcode BOUND_MS}. */
export async function within<T>(promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`nothing came within ${BOUND_MS} ms`)), BOUND_MS);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export async function assertCode(code: string, promise: Promise<unknown>): Promise<void> {
  const error = await assertRejects(() => within(promise), HearsayError);
  assertEquals(error.code, code);
}
