/**
 * Incarnations in their form, for tests without an engine.
 *
 * @module
 */

import type { Incarnation } from "../../engine/types.ts";

/** The incarnation of an engine that begins with the test clocks. */
export const INCARNATION: Incarnation = "018bcfe56800-80000000";
/** An incarnation of the same millisecond, below it: that of a peer. */
export const EARLIER: Incarnation = "018bcfe56800-00000001";
