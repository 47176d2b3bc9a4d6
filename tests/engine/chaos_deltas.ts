/**
 * The contents of a simulation's messages as text, for lines of the trace.
 *
 * @module
 */

import type { Delta, KnownVersions, Liveness, MemberDeltas } from "../../engine/types.ts";

export function showMembers({ members }: MemberDeltas): string {
  return members.map(({ id, incarnation, after, reset, entries, count }) =>
    `${id}/${incarnation.slice(8, 12)}${reset ? "!" : ""}(${after},${
      entries.map(({ key, number, value }) => `${value === undefined ? "-" : ""}${key}@${number}`).join(" ")
    }]${count === undefined ? "" : `♥${count}`}`
  ).join(" ");
}

export function showLiveness({ count, vector }: Liveness): string {
  return `♥${count}${vector ? ` ${vector.incarnationsHash?.slice(0, 4) ?? "tags"} ${vector.counts}` : ""}`;
}

export function showDelta(delta: Delta): string {
  return `${showMembers(delta)} ${delta.digest.slice(0, 4)}/${delta.active.slice(0, 4)}${
    delta.partial ? " partial" : ""
  }${delta.agreeing === undefined ? "" : ` agreeing ${delta.agreeing}`}`;
}

export function showHolds(holds: KnownVersions): string {
  return holds.size === 0
    ? ""
    : `holds ${
      [...holds].map(([id, { incarnation, number }]) => `${id}/${incarnation.slice(8, 12)}@${number}`).join(
        " ",
      )
    }`;
}
