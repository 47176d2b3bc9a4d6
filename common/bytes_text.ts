/**
 * Bytes as text: base64url and hexadecimal digits. Node before version 25 has no `Uint8Array.fromBase64`, so `atob` is
 * used there.
 *
 * @module
 */

/** The method of newer runtimes. */
interface Encoding {
  readonly toBase64?: (options: { readonly alphabet: "base64url"; readonly omitPadding: true }) => string;
}

/** The constructor's function of newer runtimes. */
type Decoder = (text: string, options: { readonly alphabet: "base64url" }) => Uint8Array<ArrayBuffer>;

/** Bytes as base64url without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  const given: Encoding = bytes;
  return given.toBase64?.({ alphabet: "base64url", omitPadding: true }) ?? encodeOld(bytes);
}

/**
 * The bytes of a base64url text, with or without padding.
 *
 * @throws {SyntaxError} if the text is not base64url.
 */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  const { fromBase64 } = Uint8Array as unknown as { readonly fromBase64?: Decoder };
  return fromBase64 ? fromBase64.call(Uint8Array, text, { alphabet: "base64url" }) : decodeOld(text);
}

/** Bytes as hexadecimal digits. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The bytes of an even number of hexadecimal digits. */
export function fromHex(digits: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** {@linkcode toBase64Url} by `btoa`. */
export function encodeOld(bytes: Uint8Array): string {
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** {@linkcode fromBase64Url} by `atob`, which reads plain base64. */
export function decodeOld(text: string): Uint8Array<ArrayBuffer> {
  if (/[+/]/.test(text)) throw new SyntaxError("The text must be base64url.");
  let decoded: string;
  try {
    decoded = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch (cause) {
    throw new SyntaxError("The text must be base64url.", { cause });
  }
  return Uint8Array.from(decoded, (character) => character.charCodeAt(0));
}
