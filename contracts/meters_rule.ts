/**
 * The rule of an option for meters.
 *
 * @module
 */

import { type Rule, rule } from "../options/rules.ts";
import type { Meters } from "./meters.ts";

const METHODS: { readonly [method in keyof Omit<Meters, "report">]: true } = {
  blocked: true,
  departed: true,
  exchanged: true,
  joined: true,
  pushReceived: true,
  pushSent: true,
  received: true,
  roundEnded: true,
  sent: true,
  spread: true,
  spreadDropped: true,
  started: true,
  unblocked: true,
  woken: true,
};

/** Meters. */
export const METERS: Rule = rule(
  (given) => Object.keys(METHODS).every((method) => typeof Object(given)[method] === "function"),
  { allowed: "the meters of one member, such as `new MemberMeters()`" },
);
