/**
 * Messages between members, each at most once: `@hearsay/gossip/messages`. State has a latest value that reaches all; a
 * message has its moment, and reaches the members of that moment. See `docs/messages.md`.
 *
 * @module
 */

export type {
  AnswerFunction,
  Answers,
  Ask,
  AskOptions,
  Audience,
  BroadcastOptions,
  BroadcastResult,
  Question,
  Received,
  Skipped,
  SkipReason,
  Unanswered,
} from "./contract.ts";
export { gossipNow } from "./gossip_now.ts";
export { type Messages, messagesOf } from "./messages.ts";
