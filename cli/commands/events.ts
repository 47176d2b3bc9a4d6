/**
 * `hearsay events`: the events of a member, as they come.
 *
 * @module
 */

import { printable } from "../../common/printable.ts";
import type { HearsayEvent } from "../../contracts/event_stream.ts";
import { HEARTBEAT_KEY } from "../../engine/types.ts";
import type { Followed, Observer } from "../../observer/client.ts";
import { levelOf, type LogLevel, typesOf } from "../../operations/log_levels.ts";
import { sentenceOf } from "../../operations/sentences.ts";
import { timeOfDay, type Tone } from "../paint.ts";
import type { Run } from "../program.ts";
import type { Screen } from "../screen.ts";
import { askedLeft, connect, targetOf } from "../target.ts";

const TONES: { readonly [level in LogLevel]: Tone } = {
  debug: "dim",
  info: "plain",
  warn: "warn",
  error: "bad",
};

/** Prints events: by default those of membership and trouble; otherwise all events, or the given types. */
export const events: Run = async ({ terminal, screen }, types, flags) => {
  const { signal } = terminal;
  await using observer = await connect(await targetOf(flags, terminal), signal);
  const named = types.filter((type) => type !== undefined);
  const wanted = named.length === 0 ? typesOf("info") : named[0] === "all" ? undefined : named;
  try {
    for await (const followed of await observer.follow(wanted ? { types: wanted } : {})) {
      if (wanted === undefined && isHeartbeat(followed)) continue;
      print(screen, observer, followed);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (!signal.aborted) throw askedLeft(observer);
};

/** True for a heartbeat: heartbeats come from each member in every interval, and are not interesting. */
function isHeartbeat({ event }: Followed): boolean {
  return event?.type === "GossipUpdate" && event["key"] === HEARTBEAT_KEY;
}

function print(screen: Screen, { welcome }: Observer, { event, atMs = 0, lost }: Followed): void {
  if (screen.isJson) return screen.json(event ? { atUnixMilliseconds: atMs, ...event } : { lost });
  if (!event) {
    return screen.line(
      screen.paint(`${printable(String(lost))} events were lost, because this command was slow.`, "warn"),
    );
  }
  const { level, sentence } = described(event, welcome);
  const name = printable(event.type, 40);
  screen.line(
    `${screen.paint(timeOfDay(atMs), "dim")}  ${screen.paint(name.padEnd(18), TONES[level])} ${sentence}`,
  );
}

/** The level and the sentence of an event that came as plain data. */
export function described(
  event: NonNullable<Followed["event"]>,
  { self: id, cluster }: { readonly self: string; readonly cluster: string },
): { readonly level: LogLevel; readonly sentence: string } {
  const { message, name }: { readonly message?: unknown; readonly name?: unknown } = Object(event["error"]);
  const error = Object.assign(new Error(String(message ?? "")), { name: String(name ?? "Error") });
  const whole = { ...event, ...("error" in event && { error }) } as unknown as HearsayEvent;
  try {
    const sentence = printable(sentenceOf(whole, { id, cluster, path: "/gossip" }));
    return { level: levelOf(whole), sentence };
  } catch {
    // A member of a later version may have other events.
    return { level: "info", sentence: printable(JSON.stringify(event)) };
  }
}
