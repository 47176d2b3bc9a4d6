/**
 * The checks of calls.
 *
 * @module
 */

import { copyJson, type JsonCopy, JsonValueError, utf8Length } from "../engine/json.ts";
import { errorText } from "../common/error_text.ts";
import { HearsayError } from "../common/errors.ts";
import {
  assertNone,
  describe,
  FLAG,
  integer,
  listOf,
  type Rules,
  SIGNAL,
  TEXT,
  unknownNames,
} from "../options/rules.ts";
import { maxContentBytesOf } from "./channel.ts";
import type { Ask, AskOptions, Audience, BroadcastOptions } from "./contract.ts";
import { MAX_TIMEOUT_MS, MAX_TOPIC_BYTES } from "./limits.ts";

const TIMEOUT = integer({ least: 1, most: MAX_TIMEOUT_MS, unit: "milliseconds" });
/** The options of `broadcast` and `ask`. */
export const CALL: Rules<BroadcastOptions & AskOptions> = {
  includeSelf: FLAG,
  signal: SIGNAL,
  timeout: TIMEOUT,
};

/** Refuses an invalid topic. */
export function assertTopic(topic: unknown): asserts topic is string {
  const isText = typeof topic === "string" && topic !== "" && topic.isWellFormed();
  if (isText && utf8Length(topic) <= MAX_TOPIC_BYTES) return;
  const rule = `A topic must be a well-formed text of 1 to ${MAX_TOPIC_BYTES} bytes`;
  throw new HearsayError("invalid_key", `${rule}; got ${describe(topic)}. Nothing was sent.`);
}

/** Copies a payload or an answer. */
export function copiedPayload(what: string, value: unknown): JsonCopy {
  try {
    return copyJson(value);
  } catch (cause) {
    const why = cause instanceof JsonValueError ? cause.message : `reading it threw ${errorText(cause)}.`;
    throw new HearsayError("invalid_value", `${what} must be JSON: ${why} Nothing was sent.`, { cause });
  }
}

/** Refuses a content over the limit of a member's `maxMessageBytes`. */
export function assertSize(text: string, maxMessageBytes: number): void {
  const mostBytes = maxContentBytesOf(undefined, maxMessageBytes);
  const bytes = utf8Length(text);
  if (bytes <= mostBytes) return;
  throw new HearsayError(
    "too_large",
    `A message must have at most ${mostBytes} bytes with its topic; got ${bytes}. Nothing was sent.`,
  );
}

/** Refuses an audience of another form. */
export function assertAudience(audience: unknown): asserts audience is Audience {
  const texts = listOf(TEXT, "a list of texts");
  if (audience === "all") return;
  const given = Object(audience) as { readonly kinds?: unknown; readonly members?: unknown };
  const isOne = (given.kinds === undefined) !== (given.members === undefined);
  if (isOne && Object.keys(given).length === 1) {
    const name = given.kinds === undefined ? "members" : "kinds";
    return assertNone(texts(`audience.${name}`, given[name]));
  }
  const allowed = '"all", `{ kinds: [...] }` or `{ members: [...] }`';
  assertNone([{ field: "audience", problem: `must be ${allowed}`, given: describe(audience), allowed }]);
}

/** Refuses a question of another form. */
export function assertAsk(question: unknown): asserts question is Ask {
  const allowed = "`{ topic, payload }`";
  const isObject = typeof question === "object" && question !== null && "topic" in question;
  if (!isObject) {
    assertNone([{
      field: "question",
      problem: `must be ${allowed}`,
      given: describe(question),
      allowed,
    }]);
  }
  assertNone(unknownNames("question", question, { known: ["topic", "payload"] }));
  assertTopic((question as Ask).topic);
}
