import { type } from "../../deps/arktype.ts";
import { assertEquals } from "../../deps/std_assert.ts";
import { v } from "../../deps/valibot.ts";
import { z } from "../../deps/zod.ts";
import { consensusAcross, consensusBy, consensusOf, reading } from "../../consensus/mod.ts";
import type { JsonValue } from "../../engine/types.ts";
import { key, type KeyNode, type TypedKey } from "../../keys/mod.ts";
import type { Node } from "../../node/join.ts";
import { SCHEMAS } from "./schemas.ts";

/** `true` if both types are the same; neither `any` nor a wider one. */
type Same<One, Other> = (<T>() => T extends One ? 1 : 2) extends (<T>() => T extends Other ? 1 : 2) ? true
  : false;
/** Compiles for `true` alone. */
function same<_ extends true>(): void {}

type ValueOfMap<M> = M extends Map<string, { readonly value: infer T }> ? T : never;
type ItemOf<S> = S extends ReadableStream<infer T> ? T : never;

/** Never runs: `deno check` is the test. */
export function typesOf(node: Node): void {
  const loads = {
    zod: key("load", SCHEMAS.zod),
    valibot: key("load", SCHEMAS.valibot),
    arktype: key("load", SCHEMAS.arktype),
  };
  for (const load of [loads.zod, loads.valibot, loads.arktype] as const) {
    load.set(node, { cpu: 1 });
    load.set(node, { cpu: 1, zone: "eu" });
    // @ts-expect-error -- a number is needed
    load.set(node, { cpu: "1" });
    // @ts-expect-error -- a field is missing
    load.set(node, {});
    // @ts-expect-error -- another type
    void load.setRequest(node, 5, { acknowledgedBy: 1 });
    // @ts-expect-error -- an unknown option
    void load.setRequest(node, { cpu: 1 }, { acknowledged: 1 });
    for (const [id, { value, sequenceNumber }] of load.get(node)) {
      same<Same<typeof id, string>>();
      same<Same<typeof value.cpu, number>>();
      same<Same<typeof sequenceNumber, number>>();
      // @ts-expect-error -- no such field
      void value.memory;
    }
    const whole = load.consensus(node);
    same<Same<Exclude<typeof whole.value, undefined>["cpu"], number>>();
    const part = load.consensus(node, { by: ({ cpu }) => cpu, onReached: (cpu) => cpu.toFixed() });
    same<Same<typeof part.value, number | undefined>>();
    // @ts-expect-error -- the part is a number
    void part.value?.length;
    // @ts-expect-error -- no such field
    load.consensus(node, { by: ({ memory }) => memory });
  }
  same<Same<typeof loads.zod, TypedKey<z.input<typeof SCHEMAS.zod>, z.output<typeof SCHEMAS.zod>>>>();
  same<
    Same<
      typeof loads.valibot,
      TypedKey<v.InferInput<typeof SCHEMAS.valibot>, v.InferOutput<typeof SCHEMAS.valibot>>
    >
  >();
  same<Same<ValueOfMap<ReturnType<typeof loads.arktype.get>>, typeof SCHEMAS.arktype.infer>>();
}

/** Never runs: a schema may return another type than it takes. */
export function typesOfTransformed(node: Node): void {
  const keys = {
    zod: key("since", z.string().transform((text) => new Date(text))),
    valibot: key("since", v.pipe(v.string(), v.transform((text) => new Date(text)))),
    arktype: key("since", type("string").pipe((text) => new Date(text))),
  };
  for (const since of [keys.zod, keys.valibot, keys.arktype] as const) {
    since.set(node, "2026-01-01");
    // @ts-expect-error -- members send the input
    since.set(node, new Date());
    same<Same<ValueOfMap<ReturnType<typeof since.get>>, Date>>();
    same<Same<ItemOf<ReturnType<typeof since.watch>>["value"], Date | undefined>>();
    const check = since.consensus(node, { onReached: (date) => date.getTime() });
    same<Same<typeof check.value, Date | undefined>>();
  }
}

/** Never runs: the values of several keys. */
export function typesOfConsensus(node: Node): void {
  const version = key("version", z.string());
  const limit = key("limit", z.object({ most: z.number() }));
  const both = consensusOf(node, [version, limit, "other", limit.by(({ most }) => most)]);
  same<Same<typeof both.value, [string, { most: number }, JsonValue, number] | undefined>>();
  consensusOf(node, [version, limit], { onReached: ([text, { most }]) => [text.length, most.toFixed()] });
  // @ts-expect-error -- the second value is no text
  consensusOf(node, [version, limit], { onReached: ([_, text]) => text.length });
  // @ts-expect-error -- a number is no key
  consensusOf(node, [5]);
  const across = consensusAcross(node, [version, reading("done", () => "text")]);
  same<Same<typeof across.value, string | undefined>>();
  const plain = consensusAcross(node, ["a", "b"]);
  same<Same<typeof plain.value, JsonValue | undefined>>();
  const by = consensusBy(node, (states) => states.size > 2 ? states.size : undefined);
  same<Same<typeof by.value, number | undefined>>();
}

/** Never runs: what is no schema, and no node. */
export function typesOfMistakes(node: Node): void {
  // @ts-expect-error -- a function is no schema
  key("k", (value: unknown) => value);
  // @ts-expect-error -- a later version is no schema
  key("k", { "~standard": { version: 2, vendor: "x", validate: (value: unknown) => ({ value }) } });
  const text = key("k", z.string());
  // @ts-expect-error -- no node
  text.get({});
  // @ts-expect-error -- the signal is in an object
  text.watch(node, AbortSignal.abort());
  const accepted: KeyNode = node;
  text.get(accepted);
}

Deno.test("types: a node of join fits, and the inferred types are exact (this file compiles)", async () => {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["check", new URL(import.meta.url).pathname],
    stdout: "null",
    stderr: "null",
  }).output();
  assertEquals(success, true);
});
