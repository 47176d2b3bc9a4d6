/**
 * A connection on which every message passes a guard, which may take its time: none overtakes another.
 *
 * @module
 */

import type { Connection } from "../gossiper/cluster.ts";
import type { Message } from "../gossiper/message.ts";

/** What becomes of the messages of a connection. */
export interface Guard {
  /** What the peer said; throws a `ConnectionClosed` to close the connection. */
  incoming(message: Message): Promise<Message> | Message;
  /** What is to be said to the peer. */
  outgoing(message: Message): Promise<Message> | Message;
  /** Closes the connection with the signal's reason when aborted. */
  readonly signal: AbortSignal;
}

/** The connection behind a guard. */
export function guarded(connection: Connection, { incoming, outgoing, signal }: Guard): Connection {
  const inward = passing(incoming);
  const outward = passing(outgoing);
  const readable = connection.readable.pipeThrough(inward, { signal });
  // How it ends is told by `closed`, and by the streams.
  void outward.readable.pipeTo(connection.writable, { signal }).catch(() => {});
  return { readable, writable: outward.writable, closed: connection.closed, remote: connection.remote };
}

function passing(pass: (message: Message) => Promise<Message> | Message): TransformStream<Message, Message> {
  return new TransformStream<Message, Message>({
    async transform(message, controller) {
      controller.enqueue(await pass(message));
    },
  });
}
