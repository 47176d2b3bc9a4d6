/**
 * The compression of the bundle.
 *
 * @module
 */

import { zopfli } from "../../deps/zopfli.ts";

/** A text in the gzip format. 200 iterations: fewer leave some bytes, and more take longer than they save. */
export async function compress(text: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await zopfli(new TextEncoder().encode(text), { numiterations: 200 }));
}
