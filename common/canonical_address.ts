/**
 * One form of an address, for wherever two are compared.
 *
 * @module
 */

/**
 * A host as a URL names it, in one form: a loopback name or address is `127.0.0.1` (but the others of 127.0.0.0/8, which may
 * be other members), an IPv4 address in IPv6 is that of IPv4, and a name has no dot at its end.
 */
export function canonicalHost(hostname: string): string {
  const host = hostname.replace(/(?<=[^.])\.$/, "");
  if (/^(.+\.)?localhost$/.test(host) || host === "[::1]") return "127.0.0.1";
  const mapped = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(host);
  if (!mapped) return host;
  const [high, low] = [parseInt(mapped[1]!, 16), parseInt(mapped[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/** The authority of an address in one form, always with its port; `undefined` where it is no address. */
export function authorityOf(address: string): string | undefined {
  const url = URL.parse(address);
  if (!url || url.hostname === "") return undefined;
  const port = url.port || (["wss:", "https:"].includes(url.protocol) ? "443" : "80");
  return `${canonicalHost(url.hostname)}:${port}`;
}

/** A whole address in one form: two that are equal lead to one place. What is no address stays as it is. */
export function canonicalAddress(address: string): string {
  const authority = authorityOf(address);
  if (authority === undefined) return address;
  const { protocol, pathname, search } = new URL(address);
  return `${protocol}//${authority}${pathname === "/" ? "" : pathname}${search}`;
}
