import { assert } from "../../deps/std_assert.ts";
import { reasonWithout } from "../discovery/etcd_server.ts";

const without = await reasonWithout("chromium", { args: ["--version"], package: "chromium" });
const ignore = without !== undefined;

/** Runs tests that drive Chromium: the library for it reads the environment, which other tests may not. */
function chromiumTests(name: string, file: string): void {
  Deno.test({
    name: ignore ? `${name} (skipped: ${without})` : name,
    ignore,
    fn: async () => {
      const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["test", "--allow-all", file],
        cwd: new URL("../../", import.meta.url),
        env: { NO_COLOR: "1" },
        signal: AbortSignal.timeout(300_000),
      }).output();
      const decoder = new TextDecoder();
      assert(success, `${decoder.decode(stdout)}${decoder.decode(stderr)}`);
    },
  });
}

chromiumTests("pages: all tests in Chromium pass", "tests/browser/pages.ts");
chromiumTests("browser example: all tests in Chromium pass", "tests/browser/example.ts");
