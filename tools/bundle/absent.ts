/**
 * In place of parts of the gossiper that do nothing in a page. A class has all public members of the part that it
 * replaces: a call of a missing one would end the member in the page. `Metering` and `Readers` have none, because no code
 * in a page calls them.
 *
 * @module
 */

import type { LostMembers as FullLostMembers } from "../../discovery/lost_members.ts";
import type { ReturningMembers as FullReturningMembers } from "../../discovery/returning_members.ts";
import type { Suspicions as FullSuspicions } from "../../engine/liveness/suspicions.ts";
import type { DialLimits as FullDialLimits } from "../../gossiper/dial_limits.ts";
import type { Explanations as FullExplanations } from "../../gossiper/explanations.ts";
import type { ReaderSessions as FullReaderSessions } from "../../gossiper/reader_sessions.ts";
import type { RefusedHandshakes as FullRefusedHandshakes } from "../../gossiper/refused_handshakes.ts";
import type { Session } from "../../protocol/session.ts";

/** The public members of a class. */
type Public<T> = Pick<T, keyof T>;

/** In place of `discovery/lost_members.ts`: a page dials its seeds alone. */
export class LostMembers implements Public<FullLostMembers> {
  async follow(): Promise<void> {}
}

/** In place of `discovery/returning_members.ts`: a page dials its seeds alone. */
export class ReturningMembers implements Public<FullReturningMembers> {
  expectAt(): void {}

  settled(): Promise<void> {
    return Promise.resolve();
  }
}

/** In place of `gossiper/accept_all.ts`: no connection leads to a page. */
export async function acceptAll(): Promise<void> {}

/** In place of `gossiper/crash_watch.ts`: a page cannot find out whether an address refuses connections. */
export function watchCrashes(): undefined {}

/** In place of `engine/liveness/suspicions.ts`: only the watch for crashes suspects a member. */
export class Suspicions implements Public<FullSuspicions> {
  add(): void {}

  has(): boolean {
    return false;
  }

  restart(): void {}

  remove(): void {}

  dueInMs(): number {
    return Infinity;
  }
}

/** In place of `gossiper/dial_limits.ts`: a page dials its seeds alone, and no address that a peer names. */
export class DialLimits implements Public<FullDialLimits> {
  isFree(): boolean {
    return true;
  }

  dial<T>(_: unknown, dial: () => Promise<T>): Promise<T> {
    return dial();
  }

  recordFound(): void {}

  recordClaimed(): void {}

  retain(): void {}
}

/** In place of `gossiper/explanations.ts`: processes explain, because their operators ask. */
export class Explanations implements Record<keyof FullExplanations, unknown> {
  readonly decisions = { onRefusal(): void {}, onSuspect(): void {} };

  explain(): never {
    throw new TypeError("A page explains nothing. Call `explain` of a process.");
  }

  seenBy(): never {
    throw new TypeError("A page follows no acknowledgements. Call `seenBy` of a process.");
  }
}

/** In place of `gossiper/metering.ts`: a page has no meters. */
export class Metering {}

/** In place of `gossiper/metering.ts`: a page has no meters. */
export function meterExchange(exchange: () => Promise<void>): Promise<void> {
  return exchange();
}

/** In place of `gossiper/metering.ts`: a page has no meters. */
export function meterRound(round: () => Promise<void>): Promise<void> {
  return round();
}

/** In place of `gossiper/metering.ts`: a page has no meters. */
export function meterDeparture<T>(leave: () => Promise<T>): Promise<T> {
  return leave();
}

/** In place of `gossiper/readers.ts`: no connection leads to a page, so it serves no reader. */
export class Readers {}

/** In place of `gossiper/reader_sessions.ts`: no connection leads to a page, so it serves no reader. */
export class ReaderSessions implements Public<FullReaderSessions> {
  readonly open = new Set<Session>();
  readonly silent = this.open;

  make(): never {
    throw new TypeError("A page serves no reader.");
  }
}

/** In place of `gossiper/refused_handshakes.ts`: a page accepts no connections, so it refuses no unknown peer. */
export class RefusedHandshakes implements Public<FullRefusedHandshakes> {
  refused(): void {}

  succeeded(): void {}
}

/** In place of `gossiper/actor_counts.ts`: a page counts no actors. */
export function checkedCounts(): Readonly<Record<string, number>> {
  return {};
}

/** In place of `transport/web_socket/destroy.ts`: browsers end sockets themselves. */
export function destroySocket(): boolean {
  return false;
}
