/**
 * The timer of Node that runs after pending I/O, for the virtual clock.
 *
 * @module
 */

export { setImmediate } from "node:timers";
