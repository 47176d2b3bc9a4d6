/**
 * The headers of the page.
 *
 * @module
 */

import { PAGE } from "./page.ts";

let headers: Promise<Record<string, string>> | undefined;

/** The headers of the page. Its policy allows exactly its own script and style, by their hashes. */
export function pageHeaders(): Promise<Record<string, string>> {
  return headers ??= makeHeaders();
}

async function makeHeaders(): Promise<Record<string, string>> {
  const policy = [
    "default-src 'none'",
    `script-src ${await hashOf("script")}`,
    `style-src ${await hashOf("style")}`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    // No text can become markup, whatever the script does.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ];
  return {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": policy.join("; "),
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
  };
}

/** The hash of the one element with this name, as a source of the policy. */
async function hashOf(element: "script" | "style"): Promise<string> {
  const [, text] = new RegExp(`<${element}>(.*?)</${element}>`, "s").exec(PAGE)!;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `'sha256-${btoa(String.fromCharCode(...new Uint8Array(hash)))}'`;
}
