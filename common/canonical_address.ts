/**
 * One form for each address, so that two addresses can be compared.
 *
 * @module
 */

/**
 * The canonical form of a URL's host. A loopback name or address becomes `127.0.0.1`. Other addresses of 127.0.0.0/8
 * stay, because they may be other members. An IPv4 address in IPv6 becomes IPv4, and a name loses the dot at its end.
 */
export function canonicalHost(hostname: string): string {
  const host = hostname.replace(/(?<=[^.])\.$/, "");
  if (/^(.+\.)?localhost$/.test(host) || host === "[::1]") return "127.0.0.1";
  const mapped = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(host);
  if (!mapped) return host;
  const [high, low] = [parseInt(mapped[1]!, 16), parseInt(mapped[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/** The canonical authority of an address, always with its port; `undefined` if the text is no address. */
export function authorityOf(address: string): string | undefined {
  const url = URL.parse(address);
  if (!url || url.hostname === "") return undefined;
  const port = url.port || (["wss:", "https:"].includes(url.protocol) ? "443" : "80");
  return `${canonicalHost(url.hostname)}:${port}`;
}

/** The canonical form of an address. Equal forms lead to one server. A text that is no address is returned unchanged. */
export function canonicalAddress(address: string): string {
  const authority = authorityOf(address);
  if (authority === undefined) return address;
  const { protocol, pathname, search } = new URL(address);
  return `${protocol}//${authority}${pathname === "/" ? "" : pathname}${search}`;
}
