/**
 * Validates the record that a member gossips about itself, because it comes from peers.
 *
 * @module
 */

import type { JsonValue } from "../engine/types.ts";
import type { Member } from "../contracts/cluster.ts";
import { isHost, isMemberUrl } from "../common/host_names.ts";
import { utf8Length } from "../engine/json.ts";
import { areKinds, MAX_NAME_BYTES } from "../options/member_rules.ts";

/** Reads a member's record; `undefined` if it is invalid. Unknown fields are dropped. */
export function readMember(value: JsonValue | undefined): Member | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { id, host, port, kinds = [], url } = value as { readonly [key: string]: JsonValue };
  if (!isText(id) || !isText(host) || !isHost(host) || !isPort(port)) return undefined;
  if (!areKinds(kinds)) return undefined;
  if (url !== undefined && !isMemberUrl(url)) return undefined;
  return Object.freeze({
    id,
    host,
    port,
    kinds: Object.freeze([...kinds]),
    ...(url !== undefined && { url }),
  });
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "" && utf8Length(value) <= MAX_NAME_BYTES;
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535;
}
