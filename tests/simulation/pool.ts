/**
 * Runs many simulations at once in worker threads.
 *
 * @module
 */

import type { Overrides } from "./scenario.ts";
import type { Order, Result } from "./worker.ts";

/** Options of {@linkcode simulateAll}. */
export interface PoolOptions {
  readonly overrides?: Overrides;
  /** The number of threads; the number of processors by default. */
  readonly threads?: number;
}

/** Runs the seeds and yields each result when it is there, in any order. */
export async function* simulateAll(
  seeds: Iterable<number>,
  options: PoolOptions = {},
): AsyncGenerator<Result> {
  const { overrides = {}, threads = navigator.hardwareConcurrency } = options;
  const queue = seeds[Symbol.iterator]();
  const results = new TransformStream<Result, Result>(undefined, { highWaterMark: threads });
  const writer = results.writable.getWriter();
  const serve = async (worker: Worker) => {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      await writer.write(await ask(worker, { seed: next.value, overrides }));
    }
  };
  const workers = Array.from({ length: threads }, makeWorker);
  try {
    Promise.all(workers.map(serve)).then(() => writer.close(), (error) => writer.abort(error)).catch(
      () => {},
    );
    yield* results.readable;
  } finally {
    for (const worker of workers) worker.terminate();
  }
}

function makeWorker(): Worker {
  return new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
}

function ask(worker: Worker, order: Order): Promise<Result> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<Result>) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(`Seed ${order.seed} ended its worker thread with an error: ${event.message}`));
    };
    worker.postMessage(order);
  });
}
