/**
 * The latest troubles of a member, for observers that connect later.
 *
 * @module
 */

import type { Runtime } from "../common/runtime.ts";
import type { EventStream, HearsayEvent } from "../contracts/event_stream.ts";
import { plain, type PlainEvent, type Trouble } from "./protocol.ts";

/**
 * The most troubles that are kept; the oldest is dropped first. 64: two troubles for each member of a cluster of 32.
 */
export const MAX_TROUBLES = 64;
/** The longest event that is kept, as JSON in UTF-16 units. 16,384: `Alone` contains all seeds. */
const MAX_LENGTH = 16_384;

/** The events of trouble. They are rare, or limited in number. */
export const TROUBLES = [
  "AddressShared",
  "Alone",
  "ClientRefused",
  "ConflictDetected",
  "DiscoveryFailed",
  "HandshakeRefused",
  "Isolated",
  "ListenFailed",
  "Rejoined",
  "SelfBlocked",
  "SelfUnreachable",
  "SettingsDiffer",
  "SignatureRefused",
  "StateDropped",
] as const;

/** Keeps the troubles of one member, until its event stream ends. */
export class Troubles {
  readonly #runtime: Pick<Runtime, "wallMs">;
  readonly #kept: { readonly text: string; readonly trouble: Trouble }[] = [];

  /** Begins to keep the troubles. */
  constructor(events: Pick<EventStream, "subscribe">, runtime: Pick<Runtime, "wallMs">) {
    this.#runtime = runtime;
    // Never rejects: the stream ends without an error.
    void this.#follow(events.subscribe(TROUBLES, { capacity: MAX_TROUBLES }));
  }

  /** The troubles, the oldest first. */
  get all(): readonly Trouble[] {
    return this.#kept.map(({ trouble }) => trouble);
  }

  async #follow(events: ReadableStream<HearsayEvent>): Promise<void> {
    for await (const event of events) this.#keep(event);
  }

  #keep(event: HearsayEvent): void {
    const shown = plain(event) as PlainEvent;
    const text = JSON.stringify(shown);
    if (text.length > MAX_LENGTH) return;
    const last = this.#kept.at(-1);
    const times = last?.text === text ? this.#kept.pop()!.trouble.times + 1 : 1;
    this.#kept.push({ text, trouble: { atMs: this.#runtime.wallMs(), times, event: shown } });
    if (this.#kept.length > MAX_TROUBLES) this.#kept.shift();
  }
}
