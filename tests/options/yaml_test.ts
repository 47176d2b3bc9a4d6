import { assertEquals, assertRejects, assertThrows } from "../../deps/std_assert.ts";
import { ConfigurationError, loadConfig, parseConfig } from "../../options/yaml.ts";

/** The last line of an error. */
function lastLineOf({ message }: Error): string {
  return message.split("\n").at(-1)!.trim();
}

Deno.test("YAML: a misspelled option, or a signal in place of options, is refused (R12.3)", async () => {
  const misspelled = await assertRejects(
    () => loadConfig("config.yaml", { overide: { gossipFanOut: 5 } } as never),
    ConfigurationError,
  );
  assertEquals(lastLineOf(misspelled), "`overide` is not an option (did you mean override?).");
  const { signal } = new AbortController();
  const inPlace = await assertRejects(() => loadConfig("config.yaml", signal as never), ConfigurationError);
  assertEquals(lastLineOf(inPlace), "`options` must be `{ signal }`; got an AbortSignal.");
  const ignored = assertThrows(() => parseConfig("{}", { ignores: ["seeds"] } as never), ConfigurationError);
  assertEquals(lastLineOf(ignored), "`ignores` is not an option (did you mean ignore?).");
  assertThrows(
    () => parseConfig("{}", { ignore: "seeds" } as never),
    ConfigurationError,
    "`ignore` must be a list",
  );
});

Deno.test("YAML: an unknown name is compared with the caller's own names too (R12.3)", () => {
  const problemOf = (text: string) =>
    assertThrows(() => parseConfig(text, { ignore: ["seeds", "port"] }), ConfigurationError).problems[0]!;
  assertEquals(problemOf("seedz: []\n"), {
    field: "seedz",
    problem: "is not a setting (did you mean seeds?)",
    given: "an array",
    allowed: "seeds",
    source: "YAML, line 1",
  });
  assertEquals(problemOf("gossipFanOut: 3\nxyzzy: 1\n").allowed.split(", ").slice(0, 3), [
    "seeds",
    "port",
    "gossipInterval",
  ]);
});
