/**
 * The messages of other members.
 *
 * @module
 */

import { utf8Length } from "../engine/json.ts";
import { ConnectionClosed } from "../common/errors.ts";
import type { Extension } from "../gossiper/connection_pool.ts";
import type { Insight } from "../gossiper/insight.ts";
import type { UnknownMessage } from "../protocol/message.ts";
import type { Session } from "../protocol/session.ts";
import type { Answering } from "./answering.ts";
import type { Asking } from "./asking.ts";
import { maxContentBytesOf } from "./channel.ts";
import type { Sender } from "./sender.ts";
import type { Subscriptions } from "./subscriptions.ts";
import {
  answerContent,
  CAPABILITY,
  checkedPayload,
  type Content,
  type QuestionMessage,
  readWire,
  refusalContent,
  type Wire,
} from "./wire.ts";

/** The dependencies of {@linkcode Incoming}. */
export interface IncomingOptions {
  readonly insight: Insight;
  readonly sender: Sender;
  readonly subscriptions: Subscriptions;
  readonly answering: Answering;
  readonly asking: Asking;
  /** Aborted when this member begins to leave. */
  readonly leaving: AbortSignal;
}

/** Takes the messages of active members, each once. The sender is the member at the other end of the connection. */
export class Incoming implements Extension {
  readonly capability: string = CAPABILITY;
  readonly #options: IncomingOptions;

  constructor(options: IncomingOptions) {
    this.#options = options;
  }

  receive(session: Session, message: UnknownMessage): void {
    const { insight, sender } = this.#options;
    try {
      const wire = readWire(message);
      if (!wire) return;
      const channel = sender.channelOf(session);
      if (wire.type === "taken") return channel.taken(wire.number);
      // The channel counts each message, so that the window of a blocked peer goes on after its block.
      if (channel.receive(wire) && this.#takesFrom(session.peer!.id)) this.#take(session, wire);
    } catch (error) {
      if (!(error instanceof ConnectionClosed)) return insight.host.report("messages", error);
      session.end(error.closeCode, error.message);
    }
  }

  /** True for an active member, unless this member leaves, has withdrawn, or knows a later incarnation of the sender. */
  #takesFrom(id: string): boolean {
    const { insight: { host: { view } }, leaving } = this.#options;
    return !leaving.aborted && !view.isFenced && view.activeIds().has(id) && !view.isOutlived(id);
  }

  #take(session: Session, wire: Exclude<Wire, { type: "taken" }>): void {
    const { subscriptions, asking } = this.#options;
    const memberId = session.peer!.id;
    switch (wire.type) {
      case "message": {
        const { topic } = wire;
        if (!subscriptions.has(topic)) return;
        const payload = checkedPayload(wire.payload);
        return subscriptions.deliver(Object.freeze({ topic, payload, memberId }));
      }
      case "question":
        return this.#answer(session, wire);
      case "answer":
        return asking.receive(memberId, wire);
    }
  }

  #answer(session: Session, { id, topic, within, payload }: QuestionMessage): void {
    const { answering, insight, sender } = this.#options;
    const channel = sender.channelOf(session);
    const mostBytes = maxContentBytesOf(
      session.hello?.settings?.maxMessageBytes,
      insight.config.maxMessageBytes,
    );
    const checked = answering.has(topic) ? checkedPayload(payload) : null;
    const question = { topic, payload: checked, memberId: session.peer!.id };
    // Without the connection the asker waits no longer, and its next process may ask as much as any other.
    const gone = new AbortController();
    const forget = channel.onOver(() => gone.abort());
    void answering.reply(question, { within, signal: gone.signal }).then((reply) => {
      forget();
      if (reply) void channel.send(contentOf(id, reply, mostBytes));
    });
  }
}

function contentOf(
  id: number,
  reply: NonNullable<Awaited<ReturnType<Answering["reply"]>>>,
  mostBytes: number,
): Content {
  if ("error" in reply) return refusalContent(id, reply.error, reply.reason);
  const content = answerContent(id, reply.json);
  return utf8Length(content.text) <= mostBytes ? content : refusalContent(id, "too_large");
}
