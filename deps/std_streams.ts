/**
 * Streams of the standard library. On JSR: `jsr:@std/streams`.
 *
 * @module
 */

// @ts-types="./std_streams.d.ts"
export { TextLineStream } from "npm:deno-std@1.4.0/streams/text_line_stream.js";
