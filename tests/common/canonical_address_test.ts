import { assertEquals } from "../../deps/std_assert.ts";
import { authorityOf, canonicalAddress, canonicalHost } from "../../common/canonical_address.ts";

Deno.test("canonicalAddress: two forms of an address become the same text, and a text that is no address is returned as it is", () => {
  for (
    const [address, canonical] of [
      ["ws://localhost:80/", "ws://127.0.0.1:80"],
      ["ws://[::1]/path?query", "ws://127.0.0.1:80/path?query"],
      ["wss://example.org./", "wss://example.org:443"],
      ["ws://[::ffff:7f00:1]:9000/gossip", "ws://127.0.0.1:9000/gossip"],
      ["no address", "no address"],
    ] as const
  ) assertEquals(canonicalAddress(address), canonical);
});

Deno.test("authorityOf: has the port of the scheme if the address names no port, and is undefined for a text that is no address", () => {
  assertEquals(["ws://a", "http://a", "wss://a", "https://a", "ws://a:7"].map(authorityOf), [
    "a:80",
    "a:80",
    "a:443",
    "a:443",
    "a:7",
  ]);
  assertEquals(["a", "mailto:a@b"].map(authorityOf), [undefined, undefined]);
});

Deno.test("canonicalHost: names of this machine and mapped addresses become IPv4 addresses", () => {
  const hosts = ["localhost", "a.localhost", "localhost.", "[::1]", "[::ffff:102:fffe]", "a.b", "[::2]"];
  assertEquals(hosts.map(canonicalHost), [
    "127.0.0.1",
    "127.0.0.1",
    "127.0.0.1",
    "127.0.0.1",
    "1.2.255.254",
    "a.b",
    "[::2]",
  ]);
});
