/**
 * Parsing of request bodies, which clients control.
 *
 * @module
 */

/** The largest accepted body, in bytes. */
const MAX_BYTES = 16_384;

/** An error of the client, with its HTTP status. */
export class ClientError extends Error {
  /** The HTTP status of the response. */
  readonly status: number;

  /** The message is sent to the client. */
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * The JSON object in the body.
 *
 * @throws {ClientError} if the body is too large, or no JSON object.
 */
export async function readObject(request: Request): Promise<Readonly<Record<string, unknown>>> {
  let value: unknown;
  try {
    value = JSON.parse(await readText(request));
  } catch (error) {
    if (error instanceof ClientError) throw error;
    throw new ClientError(400, "The body must be JSON.");
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new ClientError(400, "The body must be a JSON object.");
}

async function readText(request: Request): Promise<string> {
  let text = "";
  let byteCount = 0;
  const decoder = new TextDecoder();
  for await (const chunk of request.body ?? []) {
    byteCount += chunk.byteLength;
    if (byteCount > MAX_BYTES) throw new ClientError(413, `The body must have at most ${MAX_BYTES} bytes.`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
