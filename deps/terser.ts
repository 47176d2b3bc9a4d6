/**
 * The second minifier of the page's module: it takes a thirtieth off what esbuild leaves. Loaded only by the task that
 * builds it.
 *
 * @module
 */

export { minify } from "npm:terser@5.51.4";
