/**
 * Letters: messages between actors in protoactor's remoting. They are sent in batches that list the names of
 * types once.
 *
 * @module
 */

import { type MessageBatch, type Pid, REMOTE_MESSAGE, type RemoteMessage } from "./definitions.ts";

/** The serializer of protobuf messages. There is one for JSON too, which protoactor-go never uses. */
const PROTOBUF = 0;
/**
 * The longest actor name or address that is accepted. A batch holds each name once, but every answer to its
 * letters repeats it: without this limit a small batch could cause very large answers.
 */
export const MAX_LETTERS = 10_000;
/** The longest actor name or address that is accepted, because a batch repeats it for many letters. */
const MAX_NAME_LENGTH = 1_024;

/** A message from one actor to another. */
export interface Letter {
  readonly target: Pid;
  readonly sender?: Pid | undefined;
  /** The full name of the message's type. */
  readonly type: string;
  readonly body: Uint8Array;
}

/** Encodes a batch of one letter. */
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

/** Encodes the first message on a stream: this member's id, and the address that others dial. */
export function connectRequestBytes(self: { readonly id: string; readonly address: string }): Uint8Array {
  return REMOTE_MESSAGE.encode({
    connectRequest: { serverConnection: { systemId: self.id, address: self.address } },
  });
}

/** Encodes the answer to {@linkcode connectRequestBytes}. */
export function connectResponseBytes(id: string): Uint8Array {
  return REMOTE_MESSAGE.encode({ connectResponse: { memberId: id, blocked: false } });
}

/** Decodes a message from a stream. Throws an `Error` of any class if the bytes are invalid. */
export function readRemoteMessage(bytes: Uint8Array): RemoteMessage {
  return REMOTE_MESSAGE.decode(bytes);
}

/**
 * Reads the letters of a batch. Letters with an invalid index or name, or another serializer than protobuf,
 * are skipped. Throws a `RangeError` if the batch has more than {@linkcode MAX_LETTERS}.
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
