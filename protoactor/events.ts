/**
 * Events among the members of a cluster of protoactor-go: its `BroadcastEvent`, in both directions.
 *
 * @module
 */

import { copyJson, JsonValueError } from "../engine/json.ts";
import { type JsonValue, TYPE } from "../engine/types.ts";
import { BoundedMap } from "../common/bounded_map.ts";
import { errorText } from "../common/error_text.ts";
import { HearsayError } from "../common/errors.ts";
import { type Gossiper, insightOf } from "../gossiper/gossiper.ts";
import { assertNone, FUNCTION } from "../options/rules.ts";
import { ANY } from "./transport/definitions.ts";
import { HEARSAY_KIND, type ProtoactorTransport } from "./transport/transport.ts";
import { anyOf, type Decoders, readBinaryAny } from "./transport/values.ts";
import { isAlive } from "../gossiper/member_status.ts";

/** protoactor-go itself has this type, so that no Go process ends because it does not know it. */
const ANY_TYPE = "google.protobuf.Any";
/** The largest event that is sent, in bytes. 64 KiB: gossip goes over the same stream. */
const MAX_EVENT_BYTES = 64 * 1024;
/** The most callbacks of one member. */
const MAX_CALLBACKS = 64;

/** An event that a Go member published with `BroadcastEvent`. */
export interface GoEvent {
  /** The id of the sender, as its process says: protoactor's remoting has no keys. */
  readonly memberId: string;
  /** The full name of the event's type. For a `google.protobuf.Any` it is the name of the content's type. */
  readonly type: string;
  /** The event; `{ typeUrl, bytes }`, with the bytes in base64, if `joinProtoactor` got no decoder of its type. */
  readonly value: JsonValue;
}

/** The outcome of {@linkcode broadcastEvent}. Sent is not received. */
export interface EventResult {
  /** The ids of the Go members that it was sent to. */
  readonly sent: readonly string[];
  /** The other active Go members. `disconnected`: there is no stream to it now. `congested`: it reads too slowly. */
  readonly skipped: readonly { readonly memberId: string; readonly reason: "congested" | "disconnected" }[];
}

interface Events {
  readonly transport: ProtoactorTransport;
  readonly callbacks: BoundedMap<symbol, (event: GoEvent) => unknown>;
}

const OPEN = new WeakMap<Gossiper, Events>();

/** Called by `joinProtoactor`: connects a member with the events of its transport. */
export function openEvents(
  node: Gossiper,
  { transport, decoders }: { readonly transport: ProtoactorTransport; readonly decoders: Decoders },
): void {
  const callbacks: Events["callbacks"] = new BoundedMap(MAX_CALLBACKS);
  OPEN.set(node, { transport, callbacks });
  transport.onEvent = (memberId, type, body) => {
    const { host } = insightOf(node);
    if (callbacks.size === 0 || !host.view.activeIds().has(memberId) || memberId === node.id) return;
    const event = eventOf(memberId, { type, body }, decoders);
    for (const callback of callbacks.values()) {
      host.callLater("an event of protoactor", () => callback(event));
    }
  };
}

/**
 * Calls a function with each event that a Go member publishes with `MemberList.BroadcastEvent`, from now on; returns a handle
 * that ends it. Each event comes at most once, from active members only. protoactor-go publishes events of its own too, such
 * as `cluster.ActivationTerminated`. An error of the function is an event `CallbackFailed`.
 *
 * @throws {HearsayError} with code `invalid_configuration` if `joinProtoactor` did not make the member, `busy` above 64
 * callbacks, and `stopped` once the member leaves.
 */
export function onBroadcastEvent(node: Gossiper, callback: (event: GoEvent) => unknown): Disposable {
  assertNone(FUNCTION("callback", callback));
  const { callbacks } = eventsOf(node);
  node.signal.throwIfAborted();
  if (callbacks.size >= MAX_CALLBACKS) {
    throw new HearsayError(
      "busy",
      `A member may have at most ${MAX_CALLBACKS} callbacks. Nothing was changed.`,
    );
  }
  const key = Symbol();
  callbacks.set(key, callback);
  return { [Symbol.dispose]: () => void callbacks.delete(key) };
}

/**
 * Publishes a JSON value at the event streams of all active Go members, as their `MemberList.BroadcastEvent` does, at most
 * once and without an answer. A subscriber there gets a `*anypb.Any` with a `google.protobuf.Value`. Members of Hearsay are
 * left out: use `@hearsay/gossip/messages` among them.
 *
 * @throws {HearsayError} and sends nothing: code `invalid_value` for what is not JSON, `too_large` above 64 KiB, `stopped`
 * once the member leaves, `invalid_configuration` if `joinProtoactor` did not make the member.
 */
export function broadcastEvent(node: Gossiper, value: unknown): EventResult {
  const { transport } = eventsOf(node);
  node.signal.throwIfAborted();
  const body = bodyOf(value);
  const sent: string[] = [];
  const skipped: { memberId: string; reason: "congested" | "disconnected" }[] = [];
  for (const { id, member, isSelf, status } of node.members) {
    if (isSelf || !isAlive({ status }) || !member || member.kinds.includes(HEARSAY_KIND)) continue;
    const outcome = transport.sendEvent(id, ANY_TYPE, body);
    if (outcome === "sent") sent.push(id);
    else skipped.push({ memberId: id, reason: outcome });
  }
  return { sent, skipped };
}

function bodyOf(value: unknown): Uint8Array {
  let copy;
  try {
    copy = copyJson(value);
  } catch (cause) {
    const why = cause instanceof JsonValueError ? cause.message : `reading it threw ${errorText(cause)}.`;
    throw new HearsayError("invalid_value", `An event must be JSON: ${why} Nothing was sent.`, { cause });
  }
  const body = ANY.encode(anyOf({ key: "event", number: 1, type: TYPE.value, ...copy }));
  if (body.length <= MAX_EVENT_BYTES) return body;
  throw new HearsayError(
    "too_large",
    `An event must have at most ${MAX_EVENT_BYTES} bytes; got ${body.length}. Nothing was sent.`,
  );
}

function eventOf(
  memberId: string,
  { type, body }: { readonly type: string; readonly body: Uint8Array },
  decoders: Decoders,
): GoEvent {
  const any = type === ANY_TYPE ? ANY.decode(body) : { typeUrl: `type.googleapis.com/${type}`, value: body };
  const { value } = readBinaryAny(any, decoders);
  const name = any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1);
  return Object.freeze({ memberId, type: name, value: value ?? null });
}

function eventsOf(node: Gossiper): Events {
  const events = OPEN.get(node);
  if (events) return events;
  throw new HearsayError(
    "invalid_configuration",
    "The member must be one that `joinProtoactor` made. Nothing was sent.",
  );
}
