import { assertStringIncludes } from "../../deps/std_assert.ts";
import { freePort } from "./ports.ts";
import { Program } from "./program.ts";

// Each isolate is reached by a quarter of the dials: that none of four meets another in six dials each does not happen.
Deno.test("deno serve --parallel: members with the same address log that, and name the likely cause", async () => {
  const port = freePort();
  const program = new URL("parallel.ts", import.meta.url).pathname;
  await using server = new Program({
    args: [
      ...["serve", "--parallel", "--no-prompt", "--no-check", "--host", "127.0.0.1", "--port", `${port}`],
      ...["--allow-net=127.0.0.1", "--allow-env=PORT", program],
    ],
    env: { DENO_JOBS: "4", PORT: `${port}` },
  });
  const [line] = await server.until(/Hearsay: .* answers there too\..*$/);
  assertStringIncludes(line, `is advertised at ws://127.0.0.1:${port}, and `);
  assertStringIncludes(line, "deno serve --parallel");
});
