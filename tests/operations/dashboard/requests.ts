/**
 * Requests to a dashboard without a server.
 *
 * @module
 */

import type { DashboardData } from "../../../operations/dashboard/data.ts";
import type { DashboardHandler } from "../../../operations/dashboard/mod.ts";

/** A client of this machine. */
export const LOCAL: { readonly remoteAddr: Deno.Addr } = {
  remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 50_000 },
};

/** A request of a browser on this machine. */
export function requestOf(path: string, options: RequestInit = {}): Request {
  return new Request(`http://127.0.0.1:8080${path}`, options);
}

/** The document at `/dashboard/data`. */
export async function dataAt(show: DashboardHandler, query = ""): Promise<DashboardData> {
  const response = await show(requestOf(`/dashboard/data${query}`), LOCAL);
  return await response!.json();
}

/** Reads a stream of server-sent events. */
export class EventReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();

  constructor(response: Response) {
    this.#reader = response.body!.getReader();
  }

  /** The next part of the stream; `undefined` at its end. */
  async next(): Promise<string | undefined> {
    const { value } = await this.#reader.read();
    return value && this.#decoder.decode(value);
  }

  /** The document in the next part. */
  async data(): Promise<DashboardData | undefined> {
    const text = await this.next();
    return text === undefined ? undefined : JSON.parse(/^data: (.*)$/m.exec(text)![1]!);
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}
