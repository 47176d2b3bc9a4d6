/**
 * The parts of a gossiper for other folders, such as `messages/`.
 *
 * @module
 */

import type { GossiperConfig } from "../options/configuration.ts";
import type { EngineHost } from "./engine_host.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Topology } from "./topology.ts";

/** The parts of a gossiper. Not part of the public module. */
export interface Insight {
  /** The engine's queries, and the clock. */
  readonly host: EngineHost;
  /** The cluster's name. */
  readonly cluster: string;
  readonly config: GossiperConfig;
  /** The records of all members. */
  readonly topology: Topology;
  /** `undefined` before the start. */
  readonly running: Lifecycle | undefined;
}
