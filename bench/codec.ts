/**
 * Cost of encoding and decoding a full state, compared with JSON for the same text.
 *
 * @module
 */

import type { Gossip } from "../protocol/message.ts";
import { decode, encode } from "../protocol/codec.ts";
import { measure } from "./measure.ts";
import { duration, type Report, size } from "./report.ts";
import { deltaOf, KEYS, memberId } from "./states.ts";

const MEMBERS = 1_000;
const LIMITS = { maxMessageBytes: 32 * 1024 * 1024 };

/** Measures both directions of a gossip message with 1,000 members. */
export async function benchCodec(report: Report): Promise<void> {
  const gossip: Gossip = {
    type: "gossip",
    liveness: { count: 0 },
    id: "d1",
    memberId: memberId(0),
    delta: deltaOf(MEMBERS + 1),
  };
  const text = encode(gossip);
  // A plain object of this text, as the input of JSON.stringify.
  const plain = JSON.parse(text);
  const medians = await measure([
    { name: "encode", run: () => void flat(encode(gossip)) },
    { name: "stringify", run: () => void flat(JSON.stringify(plain)) },
    { name: "decode", run: () => void decode(text, LIMITS) },
    { name: "parse", run: () => void JSON.parse(text) },
  ]);
  const ms = (name: string) => medians.get(name)!;
  const members = MEMBERS.toLocaleString("en");
  report.table(`Writing and reading ${members} members of ${KEYS} keys, ${size(text.length)}`, [
    { what: "JSON.stringify", value: duration(ms("stringify")) },
    {
      what: "encode",
      value: duration(ms("encode")),
      against: "JSON.stringify",
      ratio: ms("encode") / ms("stringify"),
      limit: 1,
    },
    { what: "JSON.parse", value: duration(ms("parse")) },
    {
      what: "decode, with all checks",
      value: duration(ms("decode")),
      against: "JSON.parse",
      ratio: ms("decode") / ms("parse"),
      limit: 3,
    },
  ]);
}

/** Flattens a concatenated string, which V8 does only when a character is read. A socket does the same. */
function flat(text: string): number {
  return text.charCodeAt(text.length >> 1);
}
