/**
 * Members as targets of work: `@hearsay/gossip/members`. Their actor counts, their tags, zones and kinds, which may change
 * while they run, and the choice of one of them.
 *
 * @module
 */

export { describeMember, type MemberDescription } from "./description.ts";
export { getActorCount, type MemberInfo, memberInfo, membersInZone } from "./info.ts";
export { pickMember, type PickOptions } from "./pick.ts";
