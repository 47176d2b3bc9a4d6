/**
 * The findings of `hearsay doctor`.
 *
 * @module
 */

import { printable } from "../../common/printable.ts";

/** The faults, with the text in the first line of the output. */
export const FAULTS = {
  alone: "no seed",
  address: "token for another address",
  blocked: "blocked",
  clock: "clocks differ",
  cluster: "wrong cluster",
  full: "full",
  identity: "id used twice",
  isolated: "isolated",
  key: "wrong key",
  limit: "state too large",
  name: "name does not resolve",
  notListening: "not listening",
  observers: "observers refused",
  path: "wrong path",
  permission: "permission missing",
  port: "wrong port",
  proxy: "proxy without a member",
  refused: "refused",
  settings: "settings do not fit",
  split: "two clusters of one name",
  stopped: "the member stops",
  tls: "TLS not trusted",
  unreachable: "no answer",
  version: "version differs",
} as const;

/** The code of a fault. */
export type FaultCode = keyof typeof FAULTS;

/** A fault. */
export interface Fault {
  readonly code: FaultCode;
  /** The observation, as a sentence. */
  readonly seen: string;
  /** The advice, as a sentence. */
  readonly todo: string;
  /** True if the member only sees the effect, so that the fault at another process says more. */
  readonly isEffect?: true;
}

/** One step of a diagnosis. */
export interface Step {
  /** Its name, such as `TCP`. */
  readonly name: string;
  /** `note`: worth a look, but no reason why a member is alone. */
  readonly outcome: "fault" | "note" | "ok";
  readonly seen: string;
  /** The advice; missing if there is none. */
  readonly todo?: string;
}

/** The steps at one address, and the fault that ended them. */
export interface Diagnosis {
  /** The address, or another subject. */
  readonly subject: string;
  readonly steps: Step[];
  fault?: Fault;
}

/** A name that another side chose, as part of a sentence. */
export function named(text: string): string {
  return JSON.stringify(printable(text, 100));
}

/** A step that went well. */
export function ok(name: string, seen: string): Step {
  return { name, outcome: "ok", seen };
}

/** A step with a note. */
export function note(name: string, seen: string, todo?: string): Step {
  return { name, outcome: "note", seen, ...(todo !== undefined && { todo }) };
}

/** Ends a diagnosis with a fault. */
export function fail(diagnosis: Diagnosis, name: string, fault: Fault): Diagnosis {
  diagnosis.steps.push({ name, outcome: "fault", seen: fault.seen, todo: fault.todo });
  diagnosis.fault ??= fault;
  return diagnosis;
}
