import { assert, assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { addressAt, isHost, isMemberUrl } from "../../common/host_names.ts";
import { HOSTILE_HOSTS, HOSTILE_URLS } from "./host_names.ts";
import { HearsayError } from "../../common/errors.ts";

Deno.test("host: is a name or an address, and no other part of a URL", () => {
  for (
    const host of ["10.0.0.5", "::1", "[fd00::1]", "db.example", "localhost", "nonhost", "bücher.example"]
  ) {
    assert(isHost(host), host);
  }
  for (const host of HOSTILE_HOSTS) assert(!isHost(host), host);
});

Deno.test("member URL: is a ws: or wss: URL without credentials, query or fragment", () => {
  for (const url of ["ws://10.0.0.5:1", "wss://host.example/orders/a", "ws://[::1]:7001/gossip"]) {
    assert(isMemberUrl(url), url);
  }
  for (const url of HOSTILE_URLS) assert(!isMemberUrl(url), url);
});

Deno.test("member URL: a host cannot change other parts of the URL", () => {
  assertEquals(addressAt("10.0.0.5", { port: 1, secure: false }), "ws://10.0.0.5:1");
  assertEquals(addressAt("fd00::1", { port: 7001, secure: true }), "wss://[fd00::1]:7001");
  assertEquals(addressAt("[::1]", { port: 0, secure: false }), "ws://[::1]:0");
  for (const host of HOSTILE_HOSTS) {
    assertThrows(() => addressAt(host, { port: 1, secure: false }), HearsayError, "nothing was dialed");
  }
});
