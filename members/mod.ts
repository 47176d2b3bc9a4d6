/**
 * Members as targets of work: `@hearsay/gossip/members`. It has their actor counts, the choice of a member, and tags,
 * zones and kinds that may change while a member runs.
 *
 * @module
 */

export { describeMember, type MemberDescription } from "./description.ts";
export { getActorCount, type MemberInfo, memberInfo, membersInZone } from "./info.ts";
export { pickMember, type PickOptions } from "./pick.ts";
