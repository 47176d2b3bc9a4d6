/**
 * Protocol Buffers: the parser of definitions, and the codec that it makes from them.
 *
 * @module
 */

import protobuf from "npm:protobufjs@7.6.6";

/** Encodes and decodes messages of one type. */
export type Type = protobuf.Type;
/** Parses definitions. */
export const parse: typeof protobuf.parse = protobuf.parse;
