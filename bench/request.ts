/**
 * What a request that carries state and its reply take over a real WebSocket on loopback, by size and by
 * direction; with the ping that the transport sends before messages that would wait (rule P5), and without it.
 *
 * @module
 */

import { copyJson } from "../engine/json.ts";
import { makeLife } from "../engine/life.ts";
import { type SentEntry, TYPE } from "../engine/types.ts";
import type { Gossip, Message, Reply } from "../gossiper/message.ts";
import { measure, type Subject } from "./measure.ts";
import { duration, type Line as ReportLine, type Report, size } from "./report.ts";
import { bareLine, type Line, transportLine } from "./sockets.ts";

const SIZES = [100, 4 * 1024, 16 * 1024, 60 * 1024, 256 * 1024] as const;
/** How large one of the values is that make up a state: so that 60 KiB of state still are a message below 64 KiB. */
const VALUE_BYTES = 4 * 1024;
const SENDERS = ["dialler", "acceptor"] as const;

const NOTHING = { digest: "0".repeat(16), active: "0".repeat(16), partial: false };
const REPLY: Reply = {
  type: "reply",
  liveness: { count: 0 },
  id: "d1",
  delta: { ...NOTHING, members: [] },
  holds: new Map(),
};

/** Measures every size in both directions, with and without the cure by turns. */
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
      { what: `${size(bytes)}, by a bare socket`, value: duration(ms("without", bytes)) },
      {
        what: `${size(bytes)}, by the transport`,
        value: duration(ms("with", bytes)),
        ...(bytes > 100 && { against: "100 B", ratio: ms("with", bytes) / ms("with", 100) }),
        ...(bytes === 4 * 1024 && { limit: 3 }),
      },
      {
        what: `${size(bytes)}, the transport by the socket`,
        value: "",
        against: "the bare socket",
        ratio: ms("with", bytes) / ms("without", bytes),
        // Between 1 and 64 KiB the dialler's socket would wait 44 ms.
        ...(sender === "dialler" && bytes > 1024 && bytes < 64 * 1024 && { limit: 0.5 }),
      },
    ]);
    const way = sender === "dialler" ? "who dialled to who accepted" : "who accepted to who dialled";
    report.table(`A request over a WebSocket from ${way}, and its reply`, lines);
  }
}

/** Milliseconds from the request to its reply. */
async function ask(line: Line, sender: typeof SENDERS[number], bytes: number): Promise<number> {
  const { [sender]: from, [sender === "dialler" ? "acceptor" : "dialler"]: to } = line;
  const [asked, answered] = [to.receive(), from.receive()];
  const start = performance.now();
  const asking = from.send(requestOf(bytes));
  await asked;
  const answering = to.send(REPLY);
  await answered;
  const ms = performance.now() - start;
  // A send is over when there is room for the next, for which the reply does not wait.
  await Promise.all([asking, answering]);
  return ms;
}

const requests = new Map<number, Message>();

/** A gossip of one member, whose values have so many bytes. */
function requestOf(bytes: number): Message {
  const known = requests.get(bytes);
  if (known) return known;
  const entries = Array.from({ length: Math.ceil(bytes / VALUE_BYTES) }, (_, index): SentEntry => {
    const room = Math.min(VALUE_BYTES, bytes - index * VALUE_BYTES);
    // Two of the bytes are its quotes.
    return { key: `key-${index}`, number: index + 1, type: TYPE.value, ...copyJson("x".repeat(room - 2)) };
  });
  const member = { id: "a", life: makeLife(1, 0.5), after: 0, reset: false, entries };
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
