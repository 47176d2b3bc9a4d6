/**
 * What it costs to write and read a whole state, beside what JSON itself takes for the same text.
 *
 * @module
 */

import type { Gossip } from "../gossiper/message.ts";
import { decode, encode } from "../transport/wire.ts";
import { measure } from "./measure.ts";
import { duration, type Report, size } from "./report.ts";
import { deltaOf, KEYS, memberId } from "./states.ts";

const MEMBERS = 1_000;
const LIMITS = { maxMessageBytes: 32 * 1024 * 1024 };

/** Measures a gossip of 1,000 members both ways. */
export async function benchCodec(report: Report): Promise<void> {
  const gossip: Gossip = {
    type: "gossip",
    liveness: { count: 0 },
    id: "d1",
    memberId: memberId(0),
    delta: deltaOf(MEMBERS + 1),
  };
  const text = encode(gossip);
  // The same object that the text says, as any JSON library would be given it.
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
      what: "decode, which checks everything",
      value: duration(ms("decode")),
      against: "JSON.parse",
      ratio: ms("decode") / ms("parse"),
      limit: 3,
    },
  ]);
}

/** A text put together from parts is made into one only when it is looked into: here, as a socket would. */
function flat(text: string): number {
  return text.charCodeAt(text.length >> 1);
}
