import { assert, assertEquals, assertInstanceOf, assertThrows } from "../../deps/std_assert.ts";
import { checkJson, copyJson, deepFreeze, JsonValueError, MAX_DEPTH, utf8Length } from "../../engine/json.ts";

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { in: value };
  return value;
}

Deno.test("JSON: copies any JSON value, with its text (R4.2)", () => {
  for (
    const value of [null, true, false, 0, -1.5, 1e300, "", "żółć 😀", [], {}, [[null]], {
      a: [1, { b: "c" }],
    }]
  ) {
    const copy = copyJson(value);
    assertEquals(copy.value, value);
    assertEquals(copy.json, JSON.stringify(value));
  }
});

Deno.test("JSON: a copy shares nothing with the original, and is frozen at every depth (R4.2)", () => {
  const given = { list: [{ deep: 1 }] };
  const { value } = copyJson(given);
  given.list[0]!.deep = 2;
  given.list.push({ deep: 3 });
  const copy = value as unknown as typeof given;
  assertEquals(copy, { list: [{ deep: 1 }] });
  assert(Object.isFrozen(copy) && Object.isFrozen(copy.list) && Object.isFrozen(copy.list[0]));
  assert(!Object.isFrozen(given) && !Object.isFrozen(given.list[0]));
});

Deno.test("JSON: refuses a value that JSON cannot carry, with the path (R4.2)", () => {
  const cases: readonly [unknown, string][] = [
    [undefined, "value must be a JSON value; got undefined"],
    [() => 1, "value must be a JSON value; got a function"],
    [Symbol("s"), "value must be a JSON value; got a symbol"],
    [5n, "value must be a JSON value; got a bigint"],
    [NaN, "value must be a JSON value; got the number NaN"],
    [[Infinity], "value[0] must be a JSON value; got the number Infinity"],
    [{ a: { b: [0, -Infinity] } }, "value.a.b[1] must be a JSON value; got the number -Infinity"],
    [{ "two words": undefined }, 'value["two words"] must be a JSON value; got undefined'],
    [{ a: "\ud800" }, "value.a must be a JSON value; got a string with a lone surrogate"],
    [{ "\udc00": 1 }, "value must be a JSON value; got a key with a lone surrogate"],
    // deno-lint-ignore no-sparse-arrays -- a hole is what is tested
    [[1, , 3], "value[1] must be a JSON value; got undefined"],
    [new Date(0), "value must be a JSON value; got an instance of Date"],
    [{ at: new Map() }, "value.at must be a JSON value; got an instance of Map"],
    [new (class Load {})(), "value must be a JSON value; got an instance of Load"],
    [new Uint8Array(2), "value must be a JSON value; got an instance of Uint8Array"],
    [new Number(3), "value must be a JSON value; got an instance of Number"],
  ];
  for (const [value, message] of cases) {
    const error = assertThrows(() => copyJson(value), JsonValueError, message);
    assertInstanceOf(error, TypeError);
    assert(error.message.endsWith("."), error.message);
  }
});

Deno.test("JSON: refuses a cycle at the property that leads back (R4.2)", () => {
  const cycle: Record<string, unknown> = { list: [] };
  (cycle.list as unknown[]).push({ back: cycle });
  assertThrows(
    () => copyJson(cycle),
    JsonValueError,
    "value.list[0].back must be a JSON value; got a cycle: it leads back to itself",
  );
});

Deno.test("JSON: an object that occurs twice, but not within itself, is no cycle (R4.2)", () => {
  const shared = { a: 1 };
  assertEquals(copyJson([shared, { again: shared }]).json, '[{"a":1},{"again":{"a":1}}]');
});

Deno.test("JSON: values may be nested as deep as the limit and no deeper (R4.2)", () => {
  copyJson(nested(MAX_DEPTH));
  assertThrows(() => copyJson(nested(MAX_DEPTH + 1)), JsonValueError, `deeper than ${MAX_DEPTH}`);
  assertThrows(() => copyJson(nested(100_000)), JsonValueError, `deeper than ${MAX_DEPTH}`);
});

Deno.test("JSON: a key named __proto__ is valid and pollutes nothing (R4.2)", () => {
  const { value, json } = copyJson(JSON.parse('{"__proto__":{"evil":true},"constructor":1}'));
  assertEquals(json, '{"__proto__":{"evil":true},"constructor":1}');
  assertEquals(Object.getPrototypeOf(value), Object.prototype);
  assertEquals(({} as { evil?: unknown }).evil, undefined);
});

Deno.test("copyJson: a key named __proto__ sets no prototype, although an assignment would (R4.2)", () => {
  const given = JSON.parse('{"__proto__":{"evil":true},"plain":1}');
  // Browsers have this accessor; Deno has it only with a flag.
  const before = Object.getOwnPropertyDescriptor(Object.prototype, "__proto__");
  Object.defineProperty(Object.prototype, "__proto__", {
    configurable: true,
    set(prototype) {
      Object.setPrototypeOf(this, prototype);
    },
  });
  try {
    const copy = copyJson(given).value as object;
    assertEquals([Object.keys(copy), "evil" in copy], [["__proto__", "plain"], false]);
  } finally {
    Reflect.deleteProperty(Object.prototype, "__proto__");
    if (before) Object.defineProperty(Object.prototype, "__proto__", before);
  }
});

Deno.test("JSON: an object without a prototype is plain, and -0 becomes 0 (R4.2)", () => {
  const bare = Object.assign(Object.create(null), { a: 1 });
  assertEquals(copyJson(bare).json, '{"a":1}');
  assert(Object.is(copyJson(-0).value, 0));
});

Deno.test("JSON: refuses values that JSON.parse accepts and JSON cannot carry (P2)", () => {
  assertEquals(checkJson(JSON.parse('{"a":[1,null,true,"x",{"b":{}}]}')), undefined);
  assertEquals(checkJson(JSON.parse('{"a":[1,1e999]}')), 'value["a"][1] is the number Infinity.');
  assertEquals(checkJson(JSON.parse('["\\ud800"]'), "it"), "it[0] is a string with a lone surrogate.");
  assertEquals(
    checkJson(JSON.parse('{"a":{"\\udc00":1}}')),
    'value["a"]["\udc00"] is under a key with a lone surrogate.'.replace("\udc00", "\\udc00"),
  );
  assertEquals(checkJson(undefined), "value is undefined.");
});

Deno.test("JSON: checks the depth without reading deeper than the limit (P2)", () => {
  assertEquals(checkJson(nested(MAX_DEPTH)), undefined);
  assert(checkJson(nested(MAX_DEPTH + 1))?.endsWith("is nested deeper than 64 levels."));
  assert(checkJson(nested(100_000))?.endsWith("is nested deeper than 64 levels."));
});

Deno.test("JSON: a freeze reaches every depth and returns its argument (R4.1)", () => {
  const value = { a: [{ b: 1 }], c: null };
  assert(deepFreeze(value) === value);
  assert(Object.isFrozen(value) && Object.isFrozen(value.a) && Object.isFrozen(value.a[0]));
  assertEquals(deepFreeze(5), 5);
  assertEquals(deepFreeze(undefined), undefined);
});

Deno.test("JSON: the UTF-8 length of a text equals the length of its encoding (E7)", () => {
  const encoder = new TextEncoder();
  for (
    const text of [
      "",
      "abc",
      "é",
      "߿",
      "ࠀ",
      "€",
      "\uffff",
      "😀",
      "a😀b€cé",
      "\u007f\u0080",
      "日本語".repeat(50),
    ]
  ) assertEquals(utf8Length(text), encoder.encode(text).length, JSON.stringify(text));
});

Deno.test("JSON: refuses a value that JSON would silently omit, with the path (R4.2)", () => {
  const withItem = Object.assign([1], { more: 2 });
  const hidden = Object.defineProperty({}, "secret", { value: 1, enumerable: false });
  for (
    const [value, path] of [
      [{ [Symbol("s")]: 1 }, "value"],
      [{ list: withItem }, "value.list"],
      [{ deep: { hidden } }, "value.deep.hidden"],
    ] as const
  ) {
    assertThrows(() => copyJson(value), JsonValueError, `${path} must be a JSON value; got an `);
  }
});

Deno.test("copyJson: hints how to make JSON of a Date, a Map, a Set, bytes and a bigint (R4.2)", () => {
  const hints: readonly (readonly [unknown, string])[] = [
    [new Date(0), "an instance of Date (`toISOString()` makes a text of it)"],
    [new Map(), "an instance of Map (`Object.fromEntries()` makes an object of it)"],
    [new Set(), "an instance of Set (`Array.from()` makes an array of it)"],
    [new Uint8Array(), "an instance of Uint8Array (`toBase64()` makes a text of it)"],
    [5n, "a bigint (`String()` makes a text of it)"],
    [new (class Load {})(), "an instance of Load"],
  ];
  for (const [value, got] of hints) {
    assertThrows(
      () => copyJson({ at: value }),
      JsonValueError,
      `value.at must be a JSON value; got ${got}.`,
    );
  }
});
