import { assert, assertEquals, assertRejects, assertThrows } from "../../deps/std_assert.ts";
import { etcd } from "../../discovery/etcd.ts";
import { seeds } from "../../discovery/seeds.ts";
import { ConfigurationError, join } from "../../mod.ts";

const SECRET = "hunter2";

Deno.test("a URL with a user or a password is refused where members or etcd are named, and neither is shown", async () => {
  const failures: ConfigurationError[] = [];
  for (const scheme of ["ws", "wss", "http", "nonsense"]) {
    const url = `${scheme}://ada:${SECRET}@10.0.0.5:7001`;
    failures.push(
      assertThrows(() => seeds([url]), ConfigurationError),
      assertThrows(() => etcd({ endpoints: [url] }), ConfigurationError),
      await assertRejects(
        () => join({ cluster: "c", listen: { port: 0 }, seeds: [url] }),
        ConfigurationError,
      ),
    );
  }
  for (const error of failures) {
    assert(!error.message.includes(SECRET), error.message);
    assertEquals(error.problems.length, 1);
  }
});
