/**
 * Messages from actor to actor, as they travel in protoactor's remoting: in batches, with names of types.
 *
 * @module
 */

import { type MessageBatch, type Pid, REMOTE_MESSAGE, type RemoteMessage } from "./definitions.ts";

/** The serializer of protobuf messages; there is another of JSON ones, which protoactor-go never uses. */
const PROTOBUF = 0;
/** How many letters a batch may have: ten times what protoactor-go puts into one unless told otherwise. */
export const MAX_LETTERS = 10_000;
/** The longest name of an actor that is listened to. A batch names it once, however many letters are from or to it. */
const MAX_NAME_LENGTH = 1_024;

/** One message from one actor to another. */
export interface Letter {
  readonly target: Pid;
  readonly sender?: Pid | undefined;
  /** The full name of the message's type. */
  readonly type: string;
  readonly body: Uint8Array;
}

/** The bytes of a batch of one. */
export function letterBytes({ target, sender, type, body }: Letter): Uint8Array {
  const envelope = {
    typeId: 0,
    messageData: body,
    target: 0,
    sender: sender ? 1 : 0,
    targetRequestId: target.requestId ?? 0,
    senderRequestId: sender?.requestId ?? 0,
  };
  const bare = ({ address, id }: Pid): Pid => ({ address, id });
  return REMOTE_MESSAGE.encode({
    messageBatch: {
      typeNames: [type],
      targets: [bare(target)],
      envelopes: [envelope],
      senders: sender ? [bare(sender)] : [],
    },
  });
}

/** What greets the other side of a stream: this member's id, and the address at which it can be dialled. */
export function connectRequestBytes(self: { readonly id: string; readonly address: string }): Uint8Array {
  return REMOTE_MESSAGE.encode({
    connectRequest: { serverConnection: { systemId: self.id, address: self.address } },
  });
}

/** What answers a {@linkcode connectRequestBytes}. */
export function connectResponseBytes(id: string): Uint8Array {
  return REMOTE_MESSAGE.encode({ connectResponse: { memberId: id, blocked: false } });
}

/** Reads what came over a stream. Throws an `Error` of any class where it cannot be read. */
export function readRemoteMessage(bytes: Uint8Array): RemoteMessage {
  return REMOTE_MESSAGE.decode(bytes);
}

/**
 * The letters of a batch; those that name nothing, or are not protobuf, are left out. Throws a `RangeError` where there
 * are more than {@linkcode MAX_LETTERS}.
 */
export function readLetters(batch: MessageBatch): Letter[] {
  if (batch.envelopes.length > MAX_LETTERS) {
    throw new RangeError(`A batch has more than ${MAX_LETTERS} letters.`);
  }
  const letters: Letter[] = [];
  for (const envelope of batch.envelopes) {
    const target = batch.targets[envelope.target];
    const sender = batch.senders[envelope.sender - 1];
    const type = batch.typeNames[envelope.typeId];
    if (!target || type === undefined || (envelope.serializerId ?? PROTOBUF) !== PROTOBUF) continue;
    if (!isNamed(target) || sender && !isNamed(sender)) continue;
    letters.push({
      target: withRequest(target, envelope.targetRequestId),
      sender: sender && withRequest(sender, envelope.senderRequestId),
      type,
      body: envelope.messageData,
    });
  }
  return letters;
}

function isNamed({ address, id }: Pid): boolean {
  return address.length <= MAX_NAME_LENGTH && id.length <= MAX_NAME_LENGTH;
}

function withRequest({ address, id }: Pid, requestId = 0): Pid {
  return requestId === 0 ? { address, id } : { address, id, requestId };
}
