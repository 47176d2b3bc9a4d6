/**
 * Asking a server over HTTP for JSON, with a bound on how long that takes and how much it may say.
 *
 * @module
 */

import { HearsayError } from "../gossiper/errors.ts";
import { withoutKeys } from "../gossiper/key_material.ts";
import { assertMayConnect } from "../gossiper/permission.ts";
import { deadlineAfter, type Runtime } from "../gossiper/runtime.ts";

/** What a request needs. */
export interface AskOptions {
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  /** How long the answer, or where it has no end the beginning of it, may take, in milliseconds. */
  readonly timeoutMs: number;
  /** How many bytes the answer, or one line of it, may have. */
  readonly maxBytes: number;
  /** What is posted, as JSON; without it, it is a GET. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is sent and must not be shown, though the server may say it back. */
  readonly secrets?: readonly string[];
  /** Whom to trust, and how to show who one is, where that is not the system's own way. */
  readonly client?: Deno.HttpClient | undefined;
}

/** Some status other than 200. */
export class HttpRefusal extends HearsayError {
  /** The class's own name, also after minification. */
  override readonly name: string = "HttpRefusal";
  /** The status. */
  readonly status: number;

  /** Makes an error that names the status, and what the server said with it. */
  constructor(url: string, { status, text }: { readonly status: number; readonly text: string }) {
    super("refused", `${url} answered ${status}: ${text.trim().slice(0, 200) || "without a word"}`);
    this.status = status;
  }
}

/**
 * The JSON value that a server answers with.
 *
 * @throws {HttpRefusal} where the status is not 200.
 * @throws {HearsayError} `connection`, `timeout`, `too_large`, or `incompatible` where it is no JSON.
 */
export async function askJson(url: string, options: AskOptions): Promise<unknown> {
  const { runtime, timeoutMs, signal, maxBytes } = options;
  using deadline = deadlineAfter(runtime, timeoutMs, `Asking ${url}`, { signal });
  try {
    const response = await request(url, { ...options, signal: deadline.signal });
    return parsed(url, await readText(response, { url, maxBytes }));
  } catch (error) {
    throw faultOf(url, { error, signal: deadline.signal });
  }
}

/** The JSON values that a server sends one to a line for as long as it likes; throws as {@linkcode askJson} does. */
export async function* askLines(url: string, options: AskOptions): AsyncGenerator<unknown, void, void> {
  const { signal, maxBytes } = options;
  // The whole may take for ever, but its end must always be possible: without this the connection would stay.
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

/** Once it has begun there is no deadline any more: a deadline that is disposed of is never aborted. */
async function begin(url: string, options: AskOptions): Promise<Response> {
  const { runtime, timeoutMs, signal } = options;
  using deadline = deadlineAfter(runtime, timeoutMs, `Asking ${url}`);
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

/** What a server said, without what this side had sent and whatever else may be a key. */
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
    throw new HearsayError("incompatible", `What ${url} answered is no JSON.`);
  }
}

function tooLarge(url: string, maxBytes: number): HearsayError {
  return new HearsayError("too_large", `${url} answered with more than ${maxBytes} bytes.`);
}

/** The same failure as one of this library's errors, or the reason for which the caller gave up. */
function faultOf(url: string, { error, signal }: { readonly error: unknown; readonly signal: AbortSignal }) {
  if (signal.aborted) return signal.reason;
  if (error instanceof HearsayError) return error;
  const words = error instanceof Error ? error.message : String(error);
  return new HearsayError("connection", `${url} could not be asked: ${words}`, { cause: error });
}
