/**
 * Dials a name through a tunnel while only two descriptors are free, as a program with a limit of open files.
 *
 * @module
 */

import { WebSocketTransport } from "../../transport/mod.ts";

const ADDRESS = "wss://orders.test:9#127.0.0.1";
/** One for the tunnel's listener, one for the dial to it; none to accept that dial. */
const FREE = 2;

const transport = new WebSocketTransport({ path: "gossip", maxMessageBytes: 65_536, connectTimeout: 5_000 });
const dial = () =>
  transport.dial(ADDRESS, { signal: new AbortController().signal }).then(
    () => "met",
    (error) => `${error.code}`,
  );
// Modules are loaded before the descriptors are used up.
console.log("first", await dial());
const files: Deno.FsFile[] = [];
try {
  for (;;) files.push(Deno.openSync("/dev/null"));
} catch {
  // No descriptor is left.
}
for (const file of files.splice(-FREE)) file.close();
const startMs = performance.now();
console.log("second", await dial(), performance.now() - startMs < 2_000 ? "at once" : "late");
for (const file of files) file.close();
await transport.close();
console.log("closed");
