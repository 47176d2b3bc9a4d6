/**
 * A client of etcd's HTTP/JSON gateway (`/v3/…`, etcd 3.4 and later), with only the operations of membership.
 *
 * @module
 */

import { messageOf } from "../../common/error_text.ts";
import { HearsayError } from "../../common/errors.ts";
import { printable } from "../../common/printable.ts";
import type { ConfigurationProblem } from "../../options/configuration_error.ts";
import { both, listOf, optionsOf, PEM, rule, type Rules, SECRET, TEXT } from "../../options/rules.ts";
import type { Runtime } from "../../common/runtime.ts";
import { duration } from "../checks.ts";
import { askJson, askLines, type AskOptions, HttpRefusal, withoutSecrets } from "../http.ts";

/** The most bytes of an answer, or of one message of a watch: enough for about ten thousand members. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** The status for a missing or expired token. */
const UNAUTHENTICATED = 401;

/** The endpoints of etcd, and this member's credentials there. */
export interface EtcdOptions {
  /** The URLs of one or more servers of the etcd cluster; `http://127.0.0.1:2379` by default. */
  readonly endpoints?: readonly string[];
  /** The user name, if etcd has authentication enabled. */
  readonly username?: string;
  /** The user's password. */
  readonly password?: string;
  /** Certificates for `https` endpoints, as for `Deno.createHttpClient`. */
  readonly tls?: {
    /** Certificate authorities to trust in addition to the system's, as PEM. */
    readonly caCerts?: string[];
    /** The client's certificate, as PEM. */
    readonly cert?: string;
    /** The private key of that certificate, as PEM. */
    readonly key?: string;
  };
  /** The longest wait for an answer, in milliseconds; 2,000 by default. */
  readonly requestTimeout?: number;
}

/** A key and its value. */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

/** A change of a key. `value` is undefined if the key was deleted. */
export interface KeyChange {
  readonly key: string;
  readonly value: string | undefined;
  readonly revision: bigint;
}

/** A key as etcd has it. */
export interface OwnedKey {
  /** The revision at which the key was created. Every later key has a higher revision. */
  readonly created: bigint;
  readonly value: string;
  /** The lease of the key; `0` without one. */
  readonly lease: string;
}

/** Cancellation of a request. */
export interface EtcdRequest {
  readonly signal: AbortSignal;
}

/** The start of a watch is below the oldest revision that etcd still has. */
export class Compacted extends HearsayError {
  /** The class's own name, also after minification. */
  override readonly name: string = "Compacted";

  constructor(revision: string) {
    super("incompatible", `etcd has compacted its history before revision ${revision}.`);
  }
}

/** Rules of {@linkcode EtcdOptions}. */
export const ETCD_RULES: Rules<EtcdOptions> = {
  endpoints: listOf(
    rule(
      (given) =>
        typeof given === "string" && /^https?:\/\/[^/?#@\\\s]+\/?$/.test(given) && URL.canParse(given),
      {
        problem: "must be an endpoint of etcd",
        allowed: 'a URL such as "http://127.0.0.1:2379", with `username` and `password` beside it',
      },
    ),
    'a list of URLs such as "http://127.0.0.1:2379"',
  ),
  username: TEXT,
  password: SECRET,
  tls: both(
    optionsOf<NonNullable<EtcdOptions["tls"]>>({
      caCerts: listOf(PEM, "a list of texts from PEM files"),
      cert: PEM,
      key: PEM,
    }),
    tlsProblems,
  ),
  requestTimeout: duration(),
};

/** Sends requests to the first endpoint that answers. Throws {@linkcode HearsayError}s. */
export class EtcdClient implements Disposable {
  readonly #options: EtcdOptions;
  readonly #runtime: Runtime;
  readonly #endpoints: readonly string[];
  readonly #http: Deno.HttpClient | undefined;
  #endpointAt = 0;
  #token: string | undefined;

  /** Creates a client. It sends no request yet. */
  constructor(options: EtcdOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    const { endpoints = [], tls } = options;
    this.#endpoints = endpoints.length > 0
      ? endpoints.map((endpoint) => endpoint.replace(/\/$/, ""))
      : ["http://127.0.0.1:2379"];
    this.#http = tls && httpClientOf(tls);
  }

  /** The endpoints, for logs. */
  get where(): string {
    return this.#endpoints.join(", ");
  }

  /** Lists all keys with a prefix, and the revision of that list. */
  async list(prefix: string, options: EtcdRequest): Promise<{ items: KeyValue[]; revision: bigint }> {
    const answer = await this.#ask("kv/range", rangeOf(prefix), options);
    const { header, kvs = [] } = answer as { header?: { revision?: unknown }; kvs?: unknown };
    if (!Array.isArray(kvs)) throw nonsense("kv/range");
    const items = kvs.map((kv: RawKeyValue) => ({ key: fromBase64(kv.key), value: fromBase64(kv.value) }));
    return { items, revision: int64(header?.revision) };
  }

  /**
   * Watches the keys with a prefix from a revision on. Yields the changes of one revision at a time; the
   * first batch is empty and confirms the watch.
   *
   * @throws {Compacted} if etcd has dropped that revision.
   */
  async *watch(
    prefix: string,
    { from, signal }: EtcdRequest & { readonly from: bigint },
  ): AsyncGenerator<readonly KeyChange[], void, void> {
    const body = { create_request: { ...rangeOf(prefix), start_revision: String(from) } };
    for await (const message of askLines(...await this.#request("watch", body, { signal }))) {
      const { result } = message as { result?: RawWatchResponse };
      if (!result) throw nonsense("watch");
      const { canceled, compact_revision: compacted, cancel_reason: why, events = [] } = result;
      if (compacted !== undefined && compacted !== "0") throw new Compacted(String(compacted));
      if (canceled) {
        const reason = withoutSecrets(String(why ?? "without a reason"), this.#secrets);
        throw new HearsayError("refused", `etcd ended the watch: ${reason}.`);
      }
      yield events.map(({ type, kv }) => ({
        key: fromBase64(kv?.key),
        value: type === "DELETE" ? undefined : fromBase64(kv?.value),
        revision: int64(kv?.mod_revision),
      }));
    }
  }

  /** Creates a lease and returns its id. */
  async grant(ttlSeconds: number, options: EtcdRequest): Promise<string> {
    const { ID } = await this.#ask("lease/grant", { TTL: String(ttlSeconds) }, options) as { ID?: unknown };
    if (typeof ID !== "string") throw nonsense("lease/grant");
    return ID;
  }

  /** Renews a lease. Returns false if it has expired. */
  async keepAlive(lease: string, options: EtcdRequest): Promise<boolean> {
    // The gateway answers each request of this stream with one message, and then ends.
    const { result } = await this.#ask("lease/keepalive", { ID: lease }, options) as {
      result?: { TTL?: unknown };
    };
    if (!result) throw nonsense("lease/keepalive");
    return result.TTL !== undefined && int64(result.TTL) > 0n;
  }

  /** Ends a lease and deletes all keys under it. */
  async revoke(lease: string, options: EtcdRequest): Promise<void> {
    await this.#ask("lease/revoke", { ID: lease }, options);
  }

  /** Sets a key for the duration of a lease. Returns the new revision. */
  async put({ key, value }: KeyValue, options: EtcdRequest & { readonly lease: string }): Promise<bigint> {
    const body = { key: toBase64(key), value: toBase64(value), lease: options.lease };
    const { header } = await this.#ask("kv/put", body, options) as { header?: { revision?: unknown } };
    return int64(header?.revision);
  }

  /** Creates a key for the duration of a lease, unless it exists. Returns the key as it is then, and the revision. */
  async createOrRead(
    { key, value }: KeyValue,
    options: EtcdRequest & { readonly lease: string },
  ): Promise<OwnedKey & { readonly revision: bigint }> {
    const { lease } = options;
    const [name, text] = [toBase64(key), toBase64(value)];
    const answer = await this.#ask("kv/txn", {
      compare: [{ key: name, target: "CREATE", result: "EQUAL", create_revision: "0" }],
      success: [{ request_put: { key: name, value: text, lease } }],
      failure: [{ request_range: { key: name } }],
    }, options) as RawTxn;
    const revision = int64(answer.header?.revision);
    if (answer.succeeded === true) return { created: revision, value, lease, revision };
    const found = answer.responses?.[0]?.response_range?.kvs?.[0];
    if (found === undefined) throw nonsense("kv/txn");
    return {
      created: int64(found.create_revision),
      value: fromBase64(found.value),
      lease: String(int64(found.lease)),
      revision,
    };
  }

  /** Closes the TLS client. */
  [Symbol.dispose](): void {
    this.#http?.close();
  }

  get #secrets(): string[] {
    const { password } = this.#options;
    return [password, this.#token].filter((each) => each !== undefined);
  }

  async #ask(method: string, body: unknown, { signal }: EtcdRequest): Promise<object> {
    try {
      const answer = await askJson(...await this.#request(method, body, { signal }));
      if (typeof answer !== "object" || answer === null) throw nonsense(method);
      return answer;
    } catch (error) {
      // Another endpoint may answer, or a token may just have expired.
      const status = error instanceof HttpRefusal ? error.status : undefined;
      if (status === UNAUTHENTICATED) this.#token = undefined;
      if (status === undefined || status >= 500) this.#endpointAt++;
      throw error;
    }
  }

  async #request(method: string, body: unknown, { signal }: EtcdRequest): Promise<[string, AskOptions]> {
    const { username, password = "" } = this.#options;
    if (username !== undefined && this.#token === undefined && method !== "auth/authenticate") {
      const answer = await this.#ask("auth/authenticate", { name: username, password }, { signal });
      const { token } = answer as { token?: unknown };
      if (typeof token !== "string") throw nonsense("auth/authenticate");
      this.#token = token;
    }
    const endpoint = this.#endpoints[this.#endpointAt % this.#endpoints.length]!;
    return [`${endpoint}/v3/${method}`, {
      runtime: this.#runtime,
      signal,
      timeoutMs: this.#options.requestTimeout ?? 2_000,
      maxBytes: MAX_ANSWER_BYTES,
      body,
      client: this.#http,
      secrets: this.#secrets,
      ...(this.#token !== undefined && { headers: { authorization: this.#token } }),
    }];
  }
}

/** A key in the gateway's JSON: bytes are base64, 64-bit numbers are strings, and default values are omitted. */
interface RawKeyValue {
  readonly key?: unknown;
  readonly value?: unknown;
  readonly mod_revision?: unknown;
}

interface RawTxn {
  readonly header?: { readonly revision?: unknown };
  readonly succeeded?: unknown;
  readonly responses?: readonly {
    readonly response_range?: {
      readonly kvs?:
        readonly (RawKeyValue & { readonly create_revision?: unknown; readonly lease?: unknown })[];
    };
  }[];
}

interface RawWatchResponse {
  readonly canceled?: boolean;
  readonly compact_revision?: string | number;
  readonly cancel_reason?: string;
  readonly events?: readonly { readonly type?: string; readonly kv?: RawKeyValue }[];
}

function httpClientOf(tls: NonNullable<EtcdOptions["tls"]>): Deno.HttpClient {
  return Deno.createHttpClient(tls as Deno.CreateHttpClientOptions & Deno.TlsCertifiedKeyPem);
}

/**
 * Makes a client to find invalid certificates, because a text may have the form of PEM but no valid certificate. When
 * the real client is made later, no caller would get the error.
 */
function tlsProblems(field: string, tls: unknown): ConfigurationProblem[] {
  if (!("Deno" in globalThis)) return [];
  try {
    httpClientOf(tls as NonNullable<EtcdOptions["tls"]>).close();
    return [];
  } catch (error) {
    const problem = `cannot be used: ${printable(messageOf(error), 200)}`;
    return [{ field, problem, given: "", allowed: "valid certificates, and `cert` and `key` together" }];
  }
}

function rangeOf(prefix: string): { readonly key: string; readonly range_end: string } {
  // The first text after all texts with the prefix. A prefix ends with "/" here, so its last character has a successor.
  const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
  return { key: toBase64(prefix), range_end: toBase64(end) };
}

function int64(given: unknown): bigint {
  if (given === undefined) return 0n;
  if ((typeof given === "string" && /^-?\d{1,19}$/.test(given)) || Number.isSafeInteger(given)) {
    return BigInt(given as string | number);
  }
  throw new HearsayError("incompatible", "etcd sent an invalid number.");
}

function toBase64(text: string): string {
  return new TextEncoder().encode(text).toBase64();
}

function fromBase64(given: unknown): string {
  if (given === undefined) return "";
  if (typeof given !== "string") throw new HearsayError("incompatible", "etcd sent a value without bytes.");
  try {
    return new TextDecoder().decode(Uint8Array.fromBase64(given));
  } catch (cause) {
    throw new HearsayError("incompatible", "etcd sent bytes that are not base64.", { cause });
  }
}

function nonsense(method: string): HearsayError {
  return new HearsayError("incompatible", `etcd sent an invalid answer to ${method}.`);
}
