/**
 * Protocol Buffers: the reader of definitions, and the codec that it makes of them.
 *
 * @module
 */

import protobuf from "npm:protobufjs@7.6.6";

/** The messages of one type, as bytes and back. */
export type Type = protobuf.Type;
/** Reads definitions. */
export const parse: typeof protobuf.parse = protobuf.parse;
