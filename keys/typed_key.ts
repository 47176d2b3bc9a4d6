/**
 * A key whose values have a type, checked by a schema.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import { ReportOnce } from "../common/report_once.ts";
import type { ConsensusOptions } from "../consensus/agreement.ts";
import { type CheckedNode, consensusAcross, type KeyConsensus } from "../consensus/consensus.ts";
import type { Reading } from "../consensus/reading.ts";
import type { EventStream } from "../contracts/event_stream.ts";
import type { GossipUpdate } from "../engine/events.ts";
import type { JsonValue } from "../engine/types.ts";
import type { ConsensusExtractor } from "../gossiper/consensus.ts";
import type { GossiperLike, GossipKeyValue, SetStateOptions, WaitOptions } from "../gossiper/contract.ts";
import { assertOwnKey } from "../gossiper/validation.ts";
import { assertNone, assertOptions, FUNCTION, rule, type Rules } from "../options/rules.ts";
import { type Checked, checkedBy } from "./checked_value.ts";
import type { InputOf, OutputOf, StandardSchema } from "./standard_schema.ts";
import { typedUpdates } from "./typed_updates.ts";

/** The parts of a member that a {@linkcode TypedKey} uses; a node of `join` has them. */
export type KeyNode =
  & CheckedNode
  & Pick<GossiperLike, "getState" | "setState" | "setStateRequest" | "deleteState" | "watch">;

/** Options of {@linkcode TypedKey.consensus} over a part of the values. */
export interface PartOptions<Output, Part> extends ConsensusOptions<Part> {
  /**
   * Returns the part to compare: a JSON value, or `undefined` if a value has no such part. Its result must depend on
   * the arguments alone.
   */
  readonly by: (value: Output, memberId: string) => Part;
}

const SCHEMA = rule((given) => {
  const { version, validate } = Object(Object(given)["~standard"]);
  return version === 1 && typeof validate === "function";
}, { allowed: "a schema of Standard Schema version 1, such as those of zod, valibot and arktype" });
const CONSENSUS: Rules<PartOptions<unknown, unknown>> = {
  by: FUNCTION,
  onReached: FUNCTION,
  onLost: FUNCTION,
};

/**
 * A key whose values have a type. Members send the input of the schema, as it was set; each reads the output. The value of
 * a peer that does not fit is left out of everything, and the node emits the event `InvalidValue`.
 *
 * It belongs to no member: each call names the node.
 */
export class TypedKey<Input, Output = Input> implements Reading<Output> {
  /** The key. */
  readonly key: string;
  readonly #schema: StandardSchema<Input, Output>;
  /** The issues already reported, by event stream and member. */
  readonly #reported = new WeakMap<EventStream, ReportOnce>();

  /** Called by {@linkcode key}. */
  constructor(key: string, schema: StandardSchema<Input, Output>) {
    assertOwnKey(key);
    assertNone(SCHEMA("schema", schema));
    this.key = key;
    this.#schema = schema;
    // Some schemas are always asynchronous; others return a promise only for values that reach an asynchronous check.
    const checked = checkedBy(schema, undefined);
    if (!checked.fits && checked.isAsync) throw asyncSchema(key);
  }

  /**
   * Sets the key of a member, like `node.setState`.
   *
   * @throws {HearsayError} with code `invalid_value` if the value does not fit the schema, with the reasons;
   * `invalid_configuration` if the schema is asynchronous; and the errors of `setState`. Nothing is changed then.
   */
  set(node: KeyNode, value: Input): void {
    this.#assertFits(value);
    node.setState(this.key, value);
  }

  /** Sets the key like {@linkcode TypedKey.set}, and resolves once enough members have acknowledged it. */
  async setRequest(node: KeyNode, value: Input, options: SetStateOptions = {}): Promise<void> {
    this.#assertFits(value);
    await node.setStateRequest(this.key, value, options);
  }

  /** Deletes the key of a member; returns `false` if it was not set. */
  delete(node: KeyNode): boolean {
    return node.deleteState(this.key);
  }

  /** The values that fit, by member id. The schema checks each of them again with every call. */
  get(node: KeyNode): Map<string, GossipKeyValue<Output>> {
    const values = new Map<string, GossipKeyValue<Output>>();
    for (const [memberId, entry] of node.getState(this.key)) {
      const checked = this.#checkedOf(node, memberId, entry.value);
      if (checked.fits) values.set(memberId, Object.freeze({ ...entry, value: checked.value }));
    }
    return values;
  }

  /**
   * Emits the present values, then changes and deletions, like `node.watch`. A member whose value no longer fits has no
   * value: the update has `deleted`.
   */
  watch(node: KeyNode, options: WaitOptions = {}): ReadableStream<GossipUpdate<Output>> {
    const check = (memberId: string, value: JsonValue) => this.#checkedOf(node, memberId, value);
    return typedUpdates(node.watch(this.key, options), check);
  }

  /**
   * Watches for all active members to have one value, or one part of it. A value that does not fit counts as no value.
   */
  consensus<Part>(node: CheckedNode, options: PartOptions<Output, Part>): KeyConsensus<Part>;
  /** Watches for all active members to have one value. A value that does not fit counts as no value. */
  consensus(node: CheckedNode, options?: ConsensusOptions<Output>): KeyConsensus<Output>;
  consensus<Part>(
    node: CheckedNode,
    options: Partial<PartOptions<Output, Part>> = {},
  ): KeyConsensus<Part | Output> {
    assertOptions(options, CONSENSUS);
    const { by, ...callbacks } = options;
    return consensusAcross(node, [by ? this.by(by) : this], callbacks as ConsensusOptions<Part | Output>);
  }

  /** Returns a part of the values, for `consensusOf` and `consensusAcross`. */
  by<Part>(extractor: (value: Output, memberId: string) => Part): Reading<Part> {
    assertNone(FUNCTION("extractor", extractor));
    return Object.freeze({
      key: this.key,
      extractorFor: (node: { readonly events: EventStream }): ConsensusExtractor => (value, memberId) => {
        const checked = this.#checkedOf(node, memberId, value);
        return checked.fits ? extractor(checked.value, memberId) : undefined;
      },
      agreed: (value: JsonValue) => value as Part,
    });
  }

  /** Returns the extractor of a consensus check of the whole value. */
  extractorFor(node: { readonly events: EventStream }): ConsensusExtractor {
    return (value, memberId) => this.#checkedOf(node, memberId, value).fits ? value : undefined;
  }

  /** Returns the output of the schema for the value of a consensus. */
  agreed(value: JsonValue): Output {
    const checked = checkedBy(this.#schema, value);
    // mutant delete-statement: no other value is compared; the type needs it.
    if (!checked.fits) throw misfit(this.key, checked);
    return checked.value;
  }

  #assertFits(value: unknown): void {
    const checked = checkedBy(this.#schema, value);
    if (!checked.fits) throw checked.isAsync ? asyncSchema(this.key) : misfit(this.key, checked);
  }

  /** Checks the value of a member, and emits an event once until a value of it fits. */
  #checkedOf(
    { events }: { readonly events: EventStream },
    memberId: string,
    value: JsonValue,
  ): Checked<Output> {
    const checked = checkedBy(this.#schema, value);
    let reported = this.#reported.get(events);
    if (!reported) this.#reported.set(events, reported = new ReportOnce());
    if (checked.fits) reported.forget(memberId);
    else if (reported.claim(memberId, checked.issues.join("\n"))) {
      events.publish({ type: "InvalidValue", memberId, key: this.key, issues: checked.issues });
    }
    return checked;
  }
}

/**
 * Makes a key whose values a schema checks. Any library with Standard Schema will do: zod, valibot, arktype, … Its
 * checks must be synchronous, must not change the given value, and must depend on it alone.
 *
 * @throws {HearsayError} with code `invalid_key` for an invalid key or a key of the gossiper, `invalid_configuration`
 * if the schema is always asynchronous.
 * @throws {ConfigurationError} if it is no schema.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { key, type StandardSchema } from "@hearsay/gossip/keys";
 *
 * // With a library: `const percent = z.number().min(0).max(100)`.
 * const percent: StandardSchema<number> = {
 *   "~standard": {
 *     version: 1,
 *     vendor: "mine",
 *     validate: (value) =>
 *       typeof value === "number" && value >= 0 && value <= 100
 *         ? { value }
 *         : { issues: [{ message: "must be a number from 0 to 100" }] },
 *   },
 * };
 * const load = key("load", percent);
 *
 * await using node = await join({ cluster: "shop", listen: { port: 0 } });
 * load.set(node, 30);
 * for (const [memberId, { value }] of load.get(node)) console.assert(memberId === node.id && value === 30);
 * ```
 */
export function key<S extends StandardSchema>(name: string, schema: S): TypedKey<InputOf<S>, OutputOf<S>> {
  return new TypedKey(name, schema as StandardSchema<InputOf<S>, OutputOf<S>>);
}

function misfit(key: string, { issues, cause }: Extract<Checked<unknown>, { fits: false }>): HearsayError {
  const text = `The key ${JSON.stringify(key)} cannot take this value: ${
    issues.join("; ")
  }. Nothing was changed.`;
  return new HearsayError("invalid_value", text, cause === undefined ? undefined : { cause });
}

function asyncSchema(key: string): HearsayError {
  return new HearsayError(
    "invalid_configuration",
    `The schema of the key ${JSON.stringify(key)} must be synchronous; it returned a promise. ` +
      "Leave asynchronous checks out of it. Nothing was changed.",
  );
}
