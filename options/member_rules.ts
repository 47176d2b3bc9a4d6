/**
 * The limits of names, keys and kinds, and the rules of a member's record.
 *
 * @module
 */

import { isMemberUrl } from "../common/host_names.ts";
import { utf8Length } from "../engine/json.ts";
import type { ConfigurationProblem } from "./configuration_error.ts";
import { brokenBy, HOST, listOf, noKey, type Rule, rule } from "./rules.ts";

/** The fields of a member's record. */
interface MemberRecord {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly kinds: readonly string[];
  readonly url?: string;
}

/** The longest key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024;
/** The longest id of a member, and the longest name of a cluster or host, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 256;
/** The most kinds of actors that a member may host. */
export const MAX_KINDS = 256;
/**
 * How many bytes of UTF-8 the names of a member's kinds may have together. 16 KiB: 256 names of 64 bytes. Fewer: a member
 * of protoactor-go with many kinds is refused. More: each member costs all others that much memory, and 10,000 members
 * 10,000 times as much.
 */
export const MAX_KINDS_BYTES = 16_384;

/** The name of a member, of its host or of a cluster. */
export const NAME: Rule = rule(isName, {
  problem: "is no name",
  allowed: `a text of 1 to ${MAX_NAME_BYTES} bytes`,
});

/** The name of a cluster, which every stranger is told that greets with another. */
export const CLUSTER_NAME: Rule = noKey(NAME);

/** The kinds of a member: a peer refuses the greeting of one whose kinds it would not read. */
export const KINDS: Rule = rule(areKinds, {
  problem: "is no list of kinds",
  allowed: `a list of at most ${MAX_KINDS} texts of 1 to ${MAX_NAME_BYTES} bytes, together at most ` +
    `${MAX_KINDS_BYTES} bytes; it may be empty`,
});

/** Where others reach a member, in place of host and port. Not shown: what is wrong may be that it has a password. */
export const MEMBER_URL: Rule = rule(isMemberUrl, {
  problem: "is no address of a member",
  allowed: 'a URL without credentials, query and fragment, such as "wss://proxy.example/orders/a"',
  show: () => "something else",
});

/** Everything that is wrong with a list of members. */
export function memberProblems(
  given: unknown,
  { port }: { readonly port: Rule },
): readonly ConfigurationProblem[] {
  const rules = { id: newNames(), host: HOST, port, kinds: KINDS, url: MEMBER_URL };
  const member: Rule = (field, each) =>
    // What else is said of a member is somebody else's affair.
    brokenBy<MemberRecord>(Object(each), { rules, required: ["id", "host", "port", "kinds"], within: field });
  return listOf(member, "a list of `{ id, host, port, kinds }`, one for each member")("members", given);
}

/** Names, no two of which are the same. */
function newNames(): Rule {
  const known = new Set<unknown>();
  const isNew = rule((id) => known.size !== known.add(id).size, {
    problem: "is that of another member",
    allowed: "an id that no other member has",
  });
  return (field, id) => {
    const problems = NAME(field, id);
    return problems.length > 0 ? problems : isNew(field, id);
  };
}

/** Whether this is a list of kinds that a member may have, wherever it comes from. */
export function areKinds(given: unknown): given is readonly string[] {
  return Array.isArray(given) && given.length <= MAX_KINDS && given.every(isName) && fitKinds(given);
}

/** Whether the names of kinds are short enough together. */
export function fitKinds(kinds: readonly string[]): boolean {
  return kinds.reduce((sum, kind) => sum + utf8Length(kind), 0) <= MAX_KINDS_BYTES;
}

function isName(given: unknown): given is string {
  return typeof given === "string" && given !== "" && given.isWellFormed() &&
    utf8Length(given) <= MAX_NAME_BYTES;
}

/** A member's own record is in its greeting and in its state, and must leave room for what its user sets. */
export function recordProblem(
  field: string,
  { self, maxMessageBytes }: { readonly self: MemberRecord; readonly maxMessageBytes: number },
): ConfigurationProblem[] {
  const bytes = utf8Length(JSON.stringify([self.id, self.host, self.port, self.kinds, self.url]));
  const most = maxMessageBytes / 16;
  if (bytes <= most) return [];
  const problem = "make this member's record larger than a sixteenth of maxMessageBytes";
  const allowed = `a record of at most ${most} bytes`;
  return [{ field, problem, given: `${bytes} bytes`, allowed }];
}
