/**
 * The messages between members that have the capability `messages`: see `docs/PROTOCOL.md`.
 *
 * @module
 */

import { checkJson, deepFreeze, MAX_DEPTH } from "../engine/json.ts";
import type { JsonValue } from "../engine/types.ts";
import { CLOSE, ConnectionClosed } from "../common/errors.ts";
import { type Fields, JsonPath, readName, readNumber, readText, readWhole } from "../protocol/check.ts";
import type { UnknownMessage } from "../protocol/message.ts";
import { MAX_REASON, MAX_TIMEOUT_MS, MAX_TOPIC_BYTES } from "./limits.ts";

/** The capability in `hello` of a member that takes messages. */
export const CAPABILITY = "messages";

/** The fields of every message but `taken`. */
export interface Numbered {
  /** The number of the message among those of its sender on this connection; it rises. */
  readonly number: number;
  /** True if the receiver is asked to say at once which messages it took. */
  readonly confirm: boolean;
}

/** A message to all subscribers of a topic. */
export interface TopicMessage extends Numbered {
  readonly type: "message";
  readonly topic: string;
  readonly payload: unknown;
}

/** A question to the answering function of a topic. */
export interface QuestionMessage extends Numbered {
  readonly type: "question";
  /** The question's id among those of its asker. */
  readonly id: number;
  readonly topic: string;
  /** The milliseconds in which the asker waits for the answer. */
  readonly within: number;
  readonly payload: unknown;
}

/** The reasons of a member for no answer. */
export const REFUSALS = ["busy", "failed", "no_handler", "too_large"] as const;
/** The reason of a member for no answer. */
export type AnswerRefusal = typeof REFUSALS[number];

/** The answer to a question. */
export interface AnswerMessage extends Numbered {
  readonly type: "answer";
  readonly id: number;
  /** The answer; `undefined` if there is none. */
  readonly payload?: unknown;
  /** The reason if there is no answer. */
  readonly error?: AnswerRefusal;
  /** A sentence for people, with `failed`. */
  readonly reason?: string;
}

/** Says that all messages up to a number were taken. */
export interface TakenMessage {
  readonly type: "taken";
  readonly number: number;
}

/** Any message of this extension. */
export type Wire = AnswerMessage | QuestionMessage | TakenMessage | TopicMessage;

/**
 * Reads a message; returns `undefined` for a type that is not of this extension. The payload is unchecked: see
 * {@linkcode checkedPayload}.
 *
 * @throws {ConnectionClosed} with 4400 if a field is invalid.
 */
export function readWire({ name, fields = {} }: UnknownMessage): Wire | undefined {
  switch (name) {
    case "taken":
      return { type: name, number: readNumber(fields.number, new JsonPath("number")) };
    case "message":
      return { type: name, ...readNumbered(fields), topic: readTopic(fields), payload: fields.payload };
    case "question": {
      const within = readWhole(fields.within, new JsonPath("within"), { min: 1, max: MAX_TIMEOUT_MS });
      const id = readNumber(fields.id, new JsonPath("id"));
      const { payload } = fields;
      return { type: name, ...readNumbered(fields), id, topic: readTopic(fields), within, payload };
    }
    case "answer":
      return readAnswer(fields);
    default:
      return undefined;
  }
}

function readAnswer(fields: Fields): AnswerMessage {
  const numbered = { type: "answer", ...readNumbered(fields) } as const;
  const id = readNumber(fields.id, new JsonPath("id"));
  if (fields.error === undefined) return { ...numbered, id, payload: fields.payload };
  const word = readName(fields.error, new JsonPath("error"));
  // A later version may have more reasons.
  const error = REFUSALS.find((known) => known === word) ?? "failed";
  const reason = readText(fields.reason ?? "", new JsonPath("reason")).slice(0, MAX_REASON);
  return { ...numbered, id, error, reason: reason.toWellFormed() };
}

function readNumbered({ number, confirm = false }: Fields): Numbered {
  if (typeof confirm !== "boolean") {
    throw new ConnectionClosed(CLOSE.invalid, "confirm: must be true or false.");
  }
  return { number: readNumber(number, new JsonPath("number")), confirm };
}

function readTopic({ topic }: Fields): string {
  return readName(topic, new JsonPath("topic"), MAX_TOPIC_BYTES);
}

/**
 * The payload of a peer's message, checked and frozen.
 *
 * @throws {ConnectionClosed} with 4400 if it is left out, nested too deep, or has a lone surrogate.
 */
export function checkedPayload(payload: unknown): JsonValue {
  // It was just parsed and belongs to nothing else, so it is frozen without a copy, which costs six times as much.
  if (checkJson(payload) === undefined) return deepFreeze(payload as JsonValue);
  const rule = `a JSON value of at most ${MAX_DEPTH} levels, with well-formed strings`;
  throw new ConnectionClosed(CLOSE.invalid, `payload: must be ${rule}.`);
}

/** The content of a message without its number, as JSON text that lacks the first brace. Written once for all receivers. */
export interface Content {
  readonly type: "answer" | "message" | "question";
  readonly text: string;
}

/** The content of a message to a topic; `json` is the payload. */
export function topicContent(topic: string, json: string): Content {
  return { type: "message", text: `"topic":${JSON.stringify(topic)},"payload":${json}}` };
}

/** The content of a question; `within` is the asker's time limit in milliseconds. */
export function questionContent(
  { id, topic, within, json }: {
    readonly id: number;
    readonly topic: string;
    readonly within: number;
    readonly json: string;
  },
): Content {
  const head = `"id":${id},"topic":${JSON.stringify(topic)},"within":${within}`;
  return { type: "question", text: `${head},"payload":${json}}` };
}

/** The content of an answer. */
export function answerContent(id: number, json: string): Content {
  return { type: "answer", text: `"id":${id},"payload":${json}}` };
}

/** The content of an answer that says why there is none. */
export function refusalContent(id: number, error: AnswerRefusal, reason?: string): Content {
  const rest = reason === undefined ? "" : `,"reason":${JSON.stringify(reason)}`;
  return { type: "answer", text: `"id":${id},"error":"${error}"${rest}}` };
}

/** The whole message. */
export function wireMessage({ type, text }: Content, { number, confirm }: Numbered): UnknownMessage {
  const asks = confirm ? `"confirm":true,` : "";
  return { type: "unknown", name: type, text: `{"type":"${type}","number":${number},${asks}${text}` };
}

/** The message that says that all up to a number were taken. */
export function takenOf(number: number): UnknownMessage {
  return { type: "unknown", name: "taken", text: `{"type":"taken","number":${number}}` };
}
