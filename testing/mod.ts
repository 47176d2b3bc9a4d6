/**
 * A network in memory and a virtual clock, for tests of programs that use Hearsay: `@hearsay/gossip/testing`.
 *
 * @module
 */

export {
  type Delay,
  type Direction,
  type LinkFaults,
  memoryAddress,
  MemoryNetwork,
  type MemoryNetworkOptions,
  type MemoryTransport,
  type MemoryTransportOptions,
  type SentMessage,
  type TrafficCounts,
} from "./memory.ts";
export {
  Machine,
  type MachineOptions,
  VirtualRuntime,
  type VirtualRuntimeOptions,
} from "./virtual_runtime.ts";
