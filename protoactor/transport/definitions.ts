/**
 * The Protocol Buffers definitions of protoactor's remoting and gossip, written from the bytes on the wire
 * and limited to the fields in use.
 *
 * A map is declared as a repeated entry, which has the same encoding, so that a key from a peer never becomes
 * a property name. The contents of a `google.protobuf.Value` are declared as bytes, which also has the same
 * encoding. So the reader limits the depth, not the library.
 *
 * @module
 */

import { parse, type Type } from "../../deps/protobufjs.ts";

const DEFINITIONS = `
syntax = "proto3";

message Any { string type_url = 1; bytes value = 2; }

message Value {
  oneof kind {
    int32 null_value = 1;
    double number_value = 2;
    string string_value = 3;
    bool bool_value = 4;
    bytes struct_value = 5;
    bytes list_value = 6;
  }
}
message Struct { repeated Field fields = 1; }
message Field { string key = 1; bytes value = 2; }
message ListValue { repeated bytes values = 1; }

message Pid { string address = 1; string id = 2; uint32 request_id = 3; }
message DeadLetterResponse { Pid target = 1; }

message RemoteMessage {
  oneof message {
    MessageBatch message_batch = 1;
    ConnectRequest connect_request = 2;
    ConnectResponse connect_response = 3;
    DisconnectRequest disconnect_request = 4;
  }
}
message MessageBatch {
  repeated string type_names = 1;
  repeated Pid targets = 2;
  repeated MessageEnvelope envelopes = 3;
  repeated Pid senders = 4;
}
message MessageEnvelope {
  int32 type_id = 1;
  bytes message_data = 2;
  int32 target = 3;
  int32 sender = 4;
  int32 serializer_id = 5;
  uint32 target_request_id = 7;
  uint32 sender_request_id = 8;
}
message ConnectRequest { ServerConnection server_connection = 2; }
message ServerConnection { string system_id = 1; string address = 2; }
message ConnectResponse { string member_id = 2; bool blocked = 3; }
message DisconnectRequest {}

message GossipRequest { GossipState state = 1; string member_id = 2; }
message GossipResponse { GossipState state = 1; }
message GossipState { repeated MemberEntry members = 1; }
message MemberEntry { string key = 1; GossipMemberState value = 2; }
message GossipMemberState { repeated KeyEntry values = 1; }
message KeyEntry { string key = 1; GossipKeyValue value = 2; }
message GossipKeyValue {
  int64 sequence_number = 2;
  Any value = 4;
  int64 local_timestamp_unix_milliseconds = 5;
}

message GossipMap { repeated MapItem items = 1; }
message MapItem { string key = 1; Any value = 2; }

message MemberHeartbeat { ActorStatistics actor_statistics = 1; }
message ActorStatistics { repeated CountEntry actor_count = 1; }
message CountEntry { string key = 1; int64 value = 2; }
message ClusterTopology {
  uint64 topology_hash = 1;
  repeated Member members = 2;
  repeated Member joined = 3;
  repeated Member left = 4;
  repeated string blocked = 5;
}
message Member { string host = 1; int32 port = 2; string id = 3; repeated string kinds = 4; }
`;

/** A 64-bit integer as its halves. */
export interface Int64 {
  /** The lower 32 bits, signed. */
  readonly low: number;
  /** The upper 32 bits, signed. */
  readonly high: number;
  /** True if the integer is read without a sign. */
  readonly unsigned: boolean;
}

/** A value of any type: the URL of its type, and its bytes. */
export interface Any {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** A `google.protobuf.Value`. After decoding, one field is set and `kind` is its name. */
export interface ProtoValue {
  readonly kind?: keyof ProtoValue;
  readonly nullValue?: number;
  readonly numberValue?: number;
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  /** The bytes of a {@linkcode STRUCT}. */
  readonly structValue?: Uint8Array;
  /** The bytes of a {@linkcode LIST_VALUE}. */
  readonly listValue?: Uint8Array;
}

/** One field of a `google.protobuf.Struct`. */
export interface ProtoField {
  readonly key: string;
  /** The bytes of a {@linkcode VALUE}. */
  readonly value: Uint8Array;
}

/** The address of an actor: `actor.PID`. */
export interface Pid {
  readonly address: string;
  readonly id: string;
  readonly requestId?: number;
}

/** One entry of a `cluster.GossipMap`. */
export interface MapItem {
  readonly key: string;
  readonly value?: Any | null;
}

/** One message in a batch. */
export interface MessageEnvelope {
  /** Index into `typeNames`. */
  readonly typeId: number;
  readonly messageData: Uint8Array;
  /** Index into `targets`. */
  readonly target: number;
  /** Index into `senders`, plus one; 0 means no sender. */
  readonly sender: number;
  readonly serializerId?: number;
  readonly targetRequestId?: number;
  readonly senderRequestId?: number;
}

/** Messages sent together. */
export interface MessageBatch {
  readonly typeNames: readonly string[];
  readonly targets: readonly Pid[];
  readonly envelopes: readonly MessageEnvelope[];
  readonly senders: readonly Pid[];
}

/** A message on a stream. Exactly one field is set. */
export interface RemoteMessage {
  readonly messageBatch?: MessageBatch | null;
  readonly connectRequest?:
    | { readonly serverConnection?: { readonly systemId: string; readonly address: string } | null }
    | null;
  readonly connectResponse?: { readonly memberId: string; readonly blocked: boolean } | null;
  readonly disconnectRequest?: Readonly<Record<never, never>> | null;
}

/** One key of one member. */
export interface KeyEntry {
  readonly key: string;
  readonly value?:
    | {
      readonly sequenceNumber: Int64 | number;
      readonly value?: Any | null;
      readonly localTimestampUnixMilliseconds?: Int64 | number;
    }
    | null;
}

/** One member of a state. */
export interface MemberEntry {
  readonly key: string;
  readonly value?: { readonly values: readonly KeyEntry[] } | null;
}

/** The state in a request or a response. */
export interface GossipState {
  readonly members: readonly MemberEntry[];
}

/** The body of a `cluster.GossipRequest`. */
export interface GossipRequest {
  readonly state?: GossipState | null;
  readonly memberId: string;
}

/** The body of a `cluster.MemberHeartbeat`. */
export interface ProtoHeartbeat {
  readonly actorStatistics?:
    | { readonly actorCount: readonly { readonly key: string; readonly value: Int64 | number }[] }
    | null;
}

/** A `cluster.Member`. */
export interface ProtoMember {
  readonly host: string;
  readonly port: number;
  readonly id: string;
  readonly kinds: readonly string[];
}

/** The body of a `cluster.ClusterTopology`. */
export interface ProtoTopology {
  readonly topologyHash?: Int64 | number | string;
  readonly members?: readonly ProtoMember[];
  readonly joined?: readonly ProtoMember[];
  readonly left?: readonly ProtoMember[];
  readonly blocked?: readonly string[];
}

/** Encodes and decodes messages of one type. */
export interface Codec<T> {
  encode(message: T): Uint8Array;
  /** Decodes a message. Throws an `Error` of any class if the bytes are invalid. */
  decode(bytes: Uint8Array): T;
}

const { root } = parse(DEFINITIONS);

function codec<T>(name: string): Codec<T> {
  const type: Type = root.lookupType(name);
  return {
    // The library types messages loosely, so the interfaces above give their types.
    encode: (message) => type.encode(message as Readonly<Record<string, unknown>>).finish(),
    decode: (bytes) => type.decode(bytes) as unknown as T,
  };
}

/** `google.protobuf.Any`. */
export const ANY: Codec<Any> = codec("Any");
/** `google.protobuf.Value`. */
export const VALUE: Codec<ProtoValue> = codec("Value");
/** `google.protobuf.Struct`. */
export const STRUCT: Codec<{ readonly fields: readonly ProtoField[] }> = codec("Struct");
/** `google.protobuf.ListValue`; its items are encoded values. */
export const LIST_VALUE: Codec<{ readonly values: readonly Uint8Array[] }> = codec("ListValue");
/** `remote.RemoteMessage`. */
export const REMOTE_MESSAGE: Codec<RemoteMessage> = codec("RemoteMessage");
/** `actor.DeadLetterResponse`. */
export const DEAD_LETTER_RESPONSE: Codec<{ readonly target: Pid }> = codec("DeadLetterResponse");
/** `cluster.GossipRequest`. */
export const GOSSIP_REQUEST: Codec<GossipRequest> = codec("GossipRequest");
/** `cluster.GossipResponse`. */
export const GOSSIP_RESPONSE: Codec<{ readonly state?: GossipState | null }> = codec("GossipResponse");
/** `cluster.GossipMap`. */
export const GOSSIP_MAP: Codec<{ readonly items: readonly MapItem[] }> = codec("GossipMap");
/** `cluster.MemberHeartbeat`. */
export const HEARTBEAT: Codec<ProtoHeartbeat> = codec("MemberHeartbeat");
/** `cluster.ClusterTopology`. */
export const TOPOLOGY: Codec<ProtoTopology> = codec("ClusterTopology");
