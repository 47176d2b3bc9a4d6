/**
 * A slow compressor of the gzip format, which makes files a thirtieth smaller than gzip does. Loaded only by the task that
 * builds the module of pages, and its test.
 *
 * @module
 */

export { gzipAsync as zopfli } from "npm:@gfx/zopfli@1.0.15";
