/**
 * The bundler of the page's module. Loaded only by the task that builds it.
 *
 * @module
 */

export { build, type Plugin, stop, transform } from "npm:esbuild@0.25.5";
