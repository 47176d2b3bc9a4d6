/**
 * What this process may do, asked before it is tried: on a terminal Deno would ask the person there, and the whole
 * process would stand still until it is answered.
 *
 * @module
 */

import { bracketed } from "./host_names.ts";

/**
 * Throws where this process may not connect to the host and port of a URL.
 *
 * @throws {Deno.errors.NotCapable} which names the permission that is missing.
 */
export function assertMayConnect({ hostname, port, protocol }: URL): void {
  const host = `${hostname}:${port || (/^(wss|https):$/.test(protocol) ? 443 : 80)}`;
  assertMay({ name: "net", host }, `--allow-net=${host}`);
}

/**
 * Throws where this process may not read a file.
 *
 * @throws {Deno.errors.NotCapable} which names the permission that is missing.
 */
export function assertMayRead(path: string): void {
  assertMay({ name: "read", path }, `--allow-read=${path}`);
}

/**
 * Throws where asking a name server would ask a person. Which one the system names is not known here: without leave for
 * the whole network it is asked only where there is no terminal, and Deno itself says whether it may.
 *
 * @throws {Deno.errors.NotCapable} which names the permission that is missing.
 */
export function assertMayAsk(server: { readonly ipAddr: string; readonly port?: number } | undefined): void {
  if (server) {
    const { ipAddr, port = 53 } = server;
    return assertMayConnect(new URL(`http://${bracketed(ipAddr)}:${port}`));
  }
  if (Deno.stdin.isTerminal()) assertMay({ name: "net" }, "--allow-net, or a `nameServer` that is allowed,");
}

function assertMay(permission: Deno.PermissionDescriptor, flag: string): void {
  // Elsewhere than under Deno nobody is asked.
  if (!("Deno" in globalThis) || Deno.permissions.querySync(permission).state === "granted") return;
  throw new Deno.errors.NotCapable(`The permission is missing: ${flag} gives it. Nobody was asked for it.`);
}
