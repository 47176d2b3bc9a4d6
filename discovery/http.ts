/**
 * HTTP requests for JSON, with limits on time and size.
 *
 * @module
 */

import { messageOf } from "../common/error_text.ts";
import { HearsayError } from "../common/errors.ts";
import { withoutKeys } from "../common/key_material.ts";
import { assertMayConnect } from "../common/permission.ts";
import { deadlineAfter, type Runtime } from "../common/runtime.ts";

/** Options of a request. */
export interface AskOptions {
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  /** The longest wait for the answer, in milliseconds; for a stream, for its beginning. */
  readonly timeoutMs: number;
  /** The most bytes of the answer, or of one line of a stream. */
  readonly maxBytes: number;
  /** Posted as JSON. Without it, the request is a GET. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** The secret texts in the request. They must not be shown, even if the server repeats them. */
  readonly secrets?: readonly string[];
  /** A client with its own certificates; the default client if undefined. */
  readonly client?: Deno.HttpClient | undefined;
}

/** A server answered with another status than 200. */
export class HttpRefusal extends HearsayError {
  /** The class's own name, also after minification. */
  override readonly name: string = "HttpRefusal";
  /** The status. */
  readonly status: number;

  /** Creates an error with the status and the beginning of the server's text. */
  constructor(url: string, { status, text }: { readonly status: number; readonly text: string }) {
    super("refused", `${url} answered ${status}: ${text.trim().slice(0, 200) || "no text"}`);
    this.status = status;
  }
}

/**
 * Requests a JSON value.
 *
 * @throws {HttpRefusal} if the status is not 200.
 * @throws {HearsayError} `connection`, `timeout`, `too_large`, or `incompatible` if the answer is not JSON.
 */
export async function askJson(url: string, options: AskOptions): Promise<unknown> {
  const { runtime, timeoutMs, signal, maxBytes } = options;
  using deadline = deadlineAfter(runtime, timeoutMs, `The request to ${url}`, { signal });
  try {
    const response = await request(url, { ...options, signal: deadline.signal });
    return parsed(url, await readText(response, { url, maxBytes }));
  } catch (error) {
    throw faultOf(url, { error, signal: deadline.signal });
  }
}

/** Requests a stream of JSON values, one per line. Throws like {@linkcode askJson}. */
export async function* askLines(url: string, options: AskOptions): AsyncGenerator<unknown, void, void> {
  const { signal, maxBytes } = options;
  // A stream may last forever. Without this signal, its connection would stay open when the caller stops reading.
  const ending = new AbortController();
  const whole = AbortSignal.any([signal, ending.signal]);
  try {
    const response = await begin(url, { ...options, signal: whole });
    for await (const line of linesOf(response.body!, { url, maxBytes })) {
      if (line.trim() !== "") yield parsed(url, line);
    }
  } catch (error) {
    throw faultOf(url, { error, signal });
  } finally {
    ending.abort();
  }
}

/** Waits for the beginning of a stream. The deadline ends here: it does not apply to the later lines. */
async function begin(url: string, options: AskOptions): Promise<Response> {
  const { runtime, timeoutMs, signal } = options;
  using deadline = deadlineAfter(runtime, timeoutMs, `The request to ${url}`);
  return await request(url, { ...options, signal: AbortSignal.any([signal, deadline.signal]) });
}

async function request(url: string, options: AskOptions): Promise<Response> {
  const { body, headers = {}, secrets = [], client, signal, maxBytes } = options;
  assertMayConnect(new URL(url));
  const response = await fetch(url, {
    method: body === undefined ? "GET" : "POST",
    headers: { accept: "application/json", ...headers },
    redirect: "manual",
    signal,
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(client && { client }),
  });
  if (response.status === 200) return response;
  const text = await readText(response, { url, maxBytes });
  throw new HttpRefusal(url, { status: response.status, text: withoutSecrets(text, secrets) });
}

async function readText(
  response: Response,
  { url, maxBytes }: { readonly url: string; readonly maxBytes: number },
): Promise<string> {
  let text = "";
  let bytes = 0;
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge(url, maxBytes);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

async function* linesOf(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  { url, maxBytes }: { readonly url: string; readonly maxBytes: number },
): AsyncGenerator<string, void, void> {
  let rest = "";
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    if (rest.length > maxBytes) throw tooLarge(url, maxBytes);
    yield* lines;
  }
  yield rest;
}

/** A server's text without the sent secrets and anything else that may be a key. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const rest = secrets.filter((secret) => secret !== "").reduce(
    (rest, each) => rest.replaceAll(each, "…"),
    text,
  );
  return withoutKeys(rest);
}

function parsed(url: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's error would quote the answer.
    throw new HearsayError("incompatible", `${url} sent an answer that is not JSON.`);
  }
}

function tooLarge(url: string, maxBytes: number): HearsayError {
  return new HearsayError("too_large", `${url} sent more than ${maxBytes} bytes.`);
}

/** Converts a failure to an error of this library, or to the caller's abort reason. */
function faultOf(url: string, { error, signal }: { readonly error: unknown; readonly signal: AbortSignal }) {
  if (signal.aborted) return signal.reason;
  if (error instanceof HearsayError) return error;
  const words = messageOf(error);
  return new HearsayError("connection", `The request to ${url} failed: ${words}`, { cause: error });
}
