import { assertEquals } from "../../deps/std_assert.ts";
import { CommandFailure, EXIT, exitCodeOf } from "../../cli/failure.ts";
import { type ErrorCode, HearsayError } from "../../common/errors.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";

Deno.test("exitCodeOf: each kind of error has its exit code", () => {
  const codes: readonly (readonly [ErrorCode, number])[] = [
    ["invalid_configuration", EXIT.usage],
    ["invalid_key", EXIT.usage],
    ["incompatible", EXIT.refused],
    ["unauthorized", EXIT.refused],
    ["connection", EXIT.unreachable],
    ["timeout", EXIT.unreachable],
    ["stopped", EXIT.fault],
  ];
  for (const [code, exitCode] of codes) assertEquals(exitCodeOf(new HearsayError(code, "")), exitCode, code);
  assertEquals(exitCodeOf(new CommandFailure(EXIT.refused, "")), EXIT.refused);
  assertEquals(exitCodeOf(new ConfigurationError([])), EXIT.usage);
  assertEquals(exitCodeOf(new Deno.errors.NotCapable("")), EXIT.usage);
  assertEquals(exitCodeOf(new Error("")), EXIT.fault);
});
