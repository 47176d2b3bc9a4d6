import { assertEquals, assertThrows } from "../../../deps/std_assert.ts";
import { MemberMeters } from "../../../operations/metrics/mod.ts";
import { ConfigurationError } from "../../../options/configuration.ts";

Deno.test("meters: at most 32 kinds of messages are counted separately", () => {
  const meters = new MemberMeters();
  for (let kind = 0; kind < 100; kind++) meters.received(`kind ${kind}`, 10);
  const total = [...meters.receivedTraffic.values()].reduce((sum, { messages }) => sum + messages, 0);
  assertEquals(total, 100);
  assertEquals(meters.receivedTraffic.size, 33);
  assertEquals(meters.receivedTraffic.get("other"), { messages: 79, bytes: 790 });
});

Deno.test("meters: a block counts as false only if it ended within `falseBlockWithin` and the member was alive all the time", () => {
  const meters = new MemberMeters({ falseBlockWithin: 1_000 });
  const end = (durationMs: number, wasAlive: boolean) =>
    meters.unblocked({ reason: "expired", durationMs, wasAlive });
  end(1_000, false);
  end(1_001, true);
  assertEquals(meters.falseBlocks, { crashed: 0, expired: 0 });
  end(1_000, true);
  assertEquals(meters.falseBlocks, { crashed: 0, expired: 1 });
});

Deno.test("meters: an option that is wrong or unknown is refused", () => {
  assertThrows(() => new MemberMeters({ falseBlockWithin: -1 }), ConfigurationError, "falseBlockWithin");
  assertThrows(() => new MemberMeters({ falseBlock: 1 } as object), ConfigurationError, "falseBlockWithin");
});
