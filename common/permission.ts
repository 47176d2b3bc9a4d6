/**
 * Checks permissions before their use. Without the check, Deno would prompt on a terminal, and the whole process would
 * stop until the answer.
 *
 * @module
 */

import { bracketed } from "./host_names.ts";

/**
 * Throws if this process may not connect to the host and port of a URL.
 *
 * @throws {Deno.errors.NotCapable} with the missing permission.
 */
export function assertMayConnect({ hostname, port, protocol }: URL): void {
  const host = `${hostname}:${port || (/^(wss|https):$/.test(protocol) ? 443 : 80)}`;
  assertMay({ name: "net", host }, `--allow-net=${host}`);
}

/**
 * Throws if this process may not read a file.
 *
 * @throws {Deno.errors.NotCapable} with the missing permission.
 */
export function assertMayRead(path: string): void {
  assertMay({ name: "read", path }, `--allow-read=${path}`);
}

/**
 * Throws if this process may not write a file or a folder.
 *
 * @throws {Deno.errors.NotCapable} with the missing permission.
 */
export function assertMayWrite(path: string): void {
  assertMay({ name: "write", path }, `--allow-write=${path}`);
}

/**
 * Throws if this process may not read a variable of the environment.
 *
 * @throws {Deno.errors.NotCapable} with the missing permission.
 */
export function assertMayReadVariable(variable: string): void {
  assertMay({ name: "env", variable }, `--allow-env=${variable}`);
}

/**
 * Throws if a DNS query would prompt. The system's name server is unknown here. So without a permission for the whole
 * network, the query is made only if there is no terminal. Deno itself then checks the permission.
 *
 * @throws {Deno.errors.NotCapable} with the missing permission.
 */
export function assertMayAsk(server: { readonly ipAddr: string; readonly port?: number } | undefined): void {
  if (server) {
    const { ipAddr, port = 53 } = server;
    return assertMayConnect(new URL(`http://${bracketed(ipAddr)}:${port}`));
  }
  if (Deno.stdin.isTerminal()) assertMay({ name: "net" }, "--allow-net, or a `nameServer` that is allowed,");
}

function assertMay(permission: Deno.PermissionDescriptor, flag: string): void {
  // Other runtimes have no permissions.
  if (!("Deno" in globalThis) || Deno.permissions.querySync(permission).state === "granted") return;
  throw new Deno.errors.NotCapable(
    `The permission ${flag} is missing; it was not asked for. Grant it at the start.`,
  );
}
