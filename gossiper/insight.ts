/**
 * The parts of a gossiper for the rooms above it.
 *
 * @module
 */

import type { GossiperConfig } from "../options/configuration.ts";
import type { EngineHost } from "./engine_host.ts";
import type { Lifecycle } from "./lifecycle.ts";

/** The parts of a gossiper. Not part of the public module. */
export interface Insight {
  /** The engine's queries, and the clock. */
  readonly host: EngineHost;
  /** The cluster's name. */
  readonly cluster: string;
  readonly config: GossiperConfig;
  /** `undefined` before the start. */
  readonly running: Lifecycle | undefined;
}
