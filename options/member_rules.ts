/**
 * The limits of names, keys and kinds, and the rules of a member's record.
 *
 * @module
 */

import { isMemberUrl } from "../common/host_names.ts";
import { utf8Length } from "../engine/json.ts";
import type { ConfigurationProblem } from "./configuration_error.ts";
import { both, brokenBy, DIALED_HOST, listOf, noKey, type Rule, rule } from "./rules.ts";

/** The fields of a member's record. */
interface MemberRecord {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly kinds: readonly string[];
  readonly url?: string;
}

/** The longest time to the end of a value, in milliseconds: ten years. */
export const MAX_EXPIRES_AFTER: number = 10 * 365 * 24 * 3_600_000;
/** The longest key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024;
/** The longest id of a member, and the longest name of a cluster or host, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 256;
/** The most kinds of actors that a member may host. */
export const MAX_KINDS = 256;
/**
 * The most UTF-8 bytes of a member's kinds together. 16 KiB: 256 names of 64 bytes. Lower: a member of protoactor-go with
 * many kinds is refused. Higher: each of up to `maxMembers` members costs every other member that much memory.
 */
export const MAX_KINDS_BYTES = 16_384;

/** The rule of a name: of a member, its host or a cluster. */
export const NAME: Rule = rule(isName, {
  allowed: `a text of 1 to ${MAX_NAME_BYTES} bytes`,
});

/**
 * The rule of a cluster's name. A text that may be a key is refused, because a refusal shows the name to any client.
 */
export const CLUSTER_NAME: Rule = noKey(NAME);

/** The rule of a member's kinds. Peers refuse the handshake of a member with invalid kinds. */
export const KINDS: Rule = rule(areKinds, {
  allowed: `a list of at most ${MAX_KINDS} texts of 1 to ${MAX_NAME_BYTES} bytes, ` +
    `together at most ${MAX_KINDS_BYTES} bytes`,
});

/** The rule of a member's URL. The value is not shown, because it may contain a password. */
export const MEMBER_URL: Rule = rule(isMemberUrl, {
  allowed: 'a URL without credentials, query or fragment, such as "wss://proxy.example/orders/a"',
  show: () => "something else",
});

/** Returns all problems of a list of members. */
export function memberProblems(
  given: unknown,
  { port }: { readonly port: Rule },
): readonly ConfigurationProblem[] {
  const rules = { id: newNames(), host: DIALED_HOST, port, kinds: KINDS, url: MEMBER_URL };
  const member: Rule = (field, each) =>
    // Other fields belong to the caller's own program.
    brokenBy<MemberRecord>(Object(each), { rules, required: ["id", "host", "port"], within: field });
  return listOf(member, "a list of `{ id, host, port }`, one for each member")("members", given);
}

/** A rule for distinct names. */
function newNames(): Rule {
  const known = new Set<unknown>();
  const isNew = rule((id) => known.size !== known.add(id).size, {
    allowed: "an id that no other member has",
  });
  return both(NAME, isNew);
}

/** True for a valid list of kinds. */
export function areKinds(given: unknown): given is readonly string[] {
  return Array.isArray(given) && given.length <= MAX_KINDS && given.every(isName) && fitKinds(given);
}

/** True if the names of the kinds are short enough together. */
export function fitKinds(kinds: readonly string[]): boolean {
  return kinds.reduce((sum, kind) => sum + utf8Length(kind), 0) <= MAX_KINDS_BYTES;
}

function isName(given: unknown): given is string {
  return typeof given === "string" && given !== "" && given.isWellFormed() &&
    utf8Length(given) <= MAX_NAME_BYTES;
}

/** A member's record is part of its handshake and its state, so it must leave room for the user's keys. */
export function recordProblem(
  field: string,
  { self, maxMessageBytes }: { readonly self: MemberRecord; readonly maxMessageBytes: number },
): ConfigurationProblem[] {
  const bytes = utf8Length(JSON.stringify([self.id, self.host, self.port, self.kinds, self.url]));
  const most = maxMessageBytes / 16;
  if (bytes <= most) return [];
  const problem = "must keep the member's record within a sixteenth of maxMessageBytes";
  const allowed = `a record of at most ${most} bytes`;
  return [{ field, problem, given: `${bytes} bytes`, allowed }];
}
