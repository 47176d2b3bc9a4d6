/**
 * Time of a request with state and its reply over a real WebSocket on loopback, by size and direction. Compares the
 * transport, which sends a ping before messages that would wait (rule P5), with a bare socket.
 *
 * @module
 */

import { copyJson } from "../engine/json.ts";
import { makeIncarnation } from "../engine/incarnation.ts";
import { type SentEntry, TYPE } from "../engine/types.ts";
import type { Gossip, Message, Reply } from "../protocol/message.ts";
import { measure, type Subject } from "./measure.ts";
import { duration, type Line as ReportLine, type Report, size } from "./report.ts";
import { bareLine, type Line, transportLine } from "./sockets.ts";

const SIZES = [100, 4 * 1024, 16 * 1024, 60 * 1024, 256 * 1024] as const;
/** Small values: a state of 60 KiB then fits into a message below 64 KiB. */
const VALUE_BYTES = 4 * 1024;
const SENDERS = ["dialer", "acceptor"] as const;

const NOTHING = { digest: "0".repeat(16), active: "0".repeat(16), partial: false };
const REPLY: Reply = {
  type: "reply",
  liveness: { count: 0 },
  id: "d1",
  delta: { ...NOTHING, members: [] },
  holds: new Map(),
};

/** Measures every size in both directions, transport and bare socket in turn. */
export async function benchRequest(report: Report): Promise<void> {
  await using bare = await bareLine();
  await using transport = await transportLine();
  for (const sender of SENDERS) {
    const subjects = SIZES.flatMap((bytes): Subject[] => [
      { name: `with ${bytes}`, run: () => ask(transport, sender, bytes) },
      { name: `without ${bytes}`, run: () => ask(bare, sender, bytes) },
    ]);
    const medians = await measure(subjects, { samples: 15, sampleMs: 0 });
    const ms = (how: string, bytes: number) => medians.get(`${how} ${bytes}`)!;
    const lines = SIZES.flatMap((bytes): ReportLine[] => [
      { what: `${size(bytes)}, bare socket`, value: duration(ms("without", bytes)) },
      {
        what: `${size(bytes)}, transport`,
        value: duration(ms("with", bytes)),
        ...(bytes > 100 && { against: "100 B", ratio: ms("with", bytes) / ms("with", 100) }),
        ...(bytes === 4 * 1024 && { limit: 3 }),
      },
      {
        what: `${size(bytes)}, transport / bare socket`,
        value: "",
        against: "the bare socket",
        ratio: ms("with", bytes) / ms("without", bytes),
        // Between 1 and 64 KiB a bare dialer's socket waits 44 ms.
        ...(sender === "dialer" && bytes > 1024 && bytes < 64 * 1024 && { limit: 0.5 }),
      },
    ]);
    const way = sender === "dialer"
      ? "the dialing to the accepting side"
      : "the accepting to the dialing side";
    report.table(`A request over a WebSocket from ${way}, and its reply`, lines);
  }
}

/** Milliseconds from a request to its reply. */
async function ask(line: Line, sender: typeof SENDERS[number], bytes: number): Promise<number> {
  const { [sender]: from, [sender === "dialer" ? "acceptor" : "dialer"]: to } = line;
  const [asked, answered] = [to.receive(), from.receive()];
  const start = performance.now();
  const asking = from.send(requestOf(bytes));
  await asked;
  const answering = to.send(REPLY);
  await answered;
  const ms = performance.now() - start;
  // A send resolves when there is room for the next one; the reply does not wait for that.
  await Promise.all([asking, answering]);
  return ms;
}

const requests = new Map<number, Message>();

/** A gossip message with one member and values of this size in total. */
function requestOf(bytes: number): Message {
  const known = requests.get(bytes);
  if (known) return known;
  const entries = Array.from({ length: Math.ceil(bytes / VALUE_BYTES) }, (_, index): SentEntry => {
    const room = Math.min(VALUE_BYTES, bytes - index * VALUE_BYTES);
    // Two of the bytes are quotes.
    return { key: `key-${index}`, number: index + 1, type: TYPE.value, ...copyJson("x".repeat(room - 2)) };
  });
  const member = { id: "a", incarnation: makeIncarnation(1, 0.5), after: 0, reset: false, entries };
  const request: Gossip = {
    type: "gossip",
    liveness: { count: 0 },
    id: "d1",
    memberId: "a",
    delta: { ...NOTHING, members: [member] },
  };
  requests.set(bytes, request);
  return request;
}
