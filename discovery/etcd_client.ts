/**
 * The little of etcd that membership needs, over its HTTP/JSON gateway (`/v3/…`, etcd 3.4 and later).
 *
 * @module
 */

import { HearsayError } from "../gossiper/errors.ts";
import { listOf, optionsOf, PEM, rule, type Rules, SECRET, TEXT } from "../gossiper/options.ts";
import type { Runtime } from "../gossiper/runtime.ts";
import { duration } from "./checks.ts";
import { askJson, askLines, type AskOptions, HttpRefusal, withoutSecrets } from "./http.ts";

/** The most that one answer, or one message of a watch, may have, in bytes: some ten thousand members. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** The status for whoever is not, or no longer, known. */
const UNAUTHENTICATED = 401;

/** Where etcd is, and who asks. */
export interface EtcdOptions {
  /** The URLs of one or several members of the etcd cluster; `http://127.0.0.1:2379` by default. */
  readonly endpoints?: readonly string[];
  /** The name to sign in with, where etcd wants that. */
  readonly username?: string;
  /** Its password. */
  readonly password?: string;
  /** Whom to trust and how to show who one is, as for `Deno.createHttpClient`; with `https` endpoints. */
  readonly tls?: {
    /** Authorities to trust besides the system's own, as PEM. */
    readonly caCerts?: string[];
    /** A client's certificate, as PEM. */
    readonly cert?: string;
    /** The key of that certificate, as PEM. */
    readonly key?: string;
  };
  /** How long etcd may take to answer, in milliseconds; 2,000 by default. */
  readonly requestTimeout?: number;
}

/** A key and its value. */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

/** A key has a value, or none any more, since a revision. */
export interface KeyChange {
  readonly key: string;
  readonly value: string | undefined;
  readonly revision: bigint;
}

/** How a request ends early. */
export interface EtcdRequest {
  readonly signal: AbortSignal;
}

/** A revision up to which history was dropped, so that a watch cannot begin below it. */
export class Compacted extends HearsayError {
  /** The class's own name, also after minification. */
  override readonly name: string = "Compacted";

  /** Makes an error that names the revision. */
  constructor(revision: string) {
    super("incompatible", `etcd has dropped what happened before revision ${revision}.`);
  }
}

/** What the options may be: endpoints that can be asked, and times that can be kept. */
export const ETCD_RULES: Rules<EtcdOptions> = {
  endpoints: listOf(
    rule(
      (given) =>
        typeof given === "string" && /^https?:\/\/[^/?#@\\\s]+\/?$/.test(given) && URL.canParse(given),
      {
        problem: "is no endpoint of etcd",
        allowed: 'a URL such as "http://127.0.0.1:2379", with `username` and `password` beside it',
      },
    ),
    'a list of URLs such as "http://127.0.0.1:2379"',
  ),
  username: TEXT,
  password: SECRET,
  tls: optionsOf<NonNullable<EtcdOptions["tls"]>>({
    caCerts: listOf(PEM, "a list of the texts in PEM files"),
    cert: PEM,
    key: PEM,
  }),
  requestTimeout: duration(),
};

/** Talks to whichever of the endpoints answers. Throws {@linkcode HearsayError}s. */
export class EtcdClient implements Disposable {
  readonly #options: EtcdOptions;
  readonly #runtime: Runtime;
  readonly #endpoints: readonly string[];
  readonly #http: Deno.HttpClient | undefined;
  #endpointAt = 0;
  #token: string | undefined;

  /** Makes a client; it asks nothing yet. */
  constructor(options: EtcdOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    const { endpoints = [], tls } = options;
    this.#endpoints = endpoints.length > 0
      ? endpoints.map((endpoint) => endpoint.replace(/\/$/, ""))
      : ["http://127.0.0.1:2379"];
    this.#http = tls && Deno.createHttpClient(tls as Deno.CreateHttpClientOptions & Deno.TlsCertifiedKeyPem);
  }

  /** The endpoints, for people to read. */
  get where(): string {
    return this.#endpoints.join(", ");
  }

  /** All keys that begin with a prefix, and the revision at which that was so. */
  async list(prefix: string, options: EtcdRequest): Promise<{ items: KeyValue[]; revision: bigint }> {
    const answer = await this.#ask("kv/range", rangeOf(prefix), options);
    const { header, kvs = [] } = answer as { header?: { revision?: unknown }; kvs?: unknown };
    if (!Array.isArray(kvs)) throw nonsense("kv/range");
    const items = kvs.map((kv: RawKeyValue) => ({ key: fromBase64(kv.key), value: fromBase64(kv.value) }));
    return { items, revision: int64(header?.revision) };
  }

  /**
   * What becomes of the keys of a prefix from a revision on, one moment after the other, each whole; first of all
   * an empty one, once etcd watches.
   *
   * @throws {Compacted} where the revision is one that etcd has dropped.
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

  /** Begins a lease of so many seconds; its id. */
  async grant(ttlSeconds: number, options: EtcdRequest): Promise<string> {
    const { ID } = await this.#ask("lease/grant", { TTL: String(ttlSeconds) }, options) as { ID?: unknown };
    if (typeof ID !== "string") throw nonsense("lease/grant");
    return ID;
  }

  /** Renews a lease; false where it is over. */
  async keepAlive(lease: string, options: EtcdRequest): Promise<boolean> {
    // The gateway answers each request of this stream with one message, and then ends.
    const { result } = await this.#ask("lease/keepalive", { ID: lease }, options) as {
      result?: { TTL?: unknown };
    };
    if (!result) throw nonsense("lease/keepalive");
    return result.TTL !== undefined && int64(result.TTL) > 0n;
  }

  /** Ends a lease, and with it all keys under it. */
  async revoke(lease: string, options: EtcdRequest): Promise<void> {
    await this.#ask("lease/revoke", { ID: lease }, options);
  }

  /** Sets a key for as long as a lease lasts; the revision at which that was done. */
  async put({ key, value }: KeyValue, options: EtcdRequest & { readonly lease: string }): Promise<bigint> {
    const body = { key: toBase64(key), value: toBase64(value), lease: options.lease };
    const { header } = await this.#ask("kv/put", body, options) as { header?: { revision?: unknown } };
    return int64(header?.revision);
  }

  /** Closes what was opened for TLS. */
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
      // Another endpoint may be well; a token may just have run out.
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

/** As the gateway writes them: bytes in base64, numbers of 64 bits as text, what has its default value left out. */
interface RawKeyValue {
  readonly key?: unknown;
  readonly value?: unknown;
  readonly mod_revision?: unknown;
}

interface RawWatchResponse {
  readonly canceled?: boolean;
  readonly compact_revision?: string | number;
  readonly cancel_reason?: string;
  readonly events?: readonly { readonly type?: string; readonly kv?: RawKeyValue }[];
}

function rangeOf(prefix: string): { readonly key: string; readonly range_end: string } {
  // The first text after all that begin so: prefixes here end with "/", which is no last character.
  const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
  return { key: toBase64(prefix), range_end: toBase64(end) };
}

function int64(given: unknown): bigint {
  if (given === undefined) return 0n;
  if ((typeof given === "string" && /^-?\d{1,19}$/.test(given)) || Number.isSafeInteger(given)) {
    return BigInt(given as string | number);
  }
  throw new HearsayError("incompatible", "etcd answered with a number that is none.");
}

function toBase64(text: string): string {
  return new TextEncoder().encode(text).toBase64();
}

function fromBase64(given: unknown): string {
  if (given === undefined) return "";
  if (typeof given !== "string") throw new HearsayError("incompatible", "etcd answered with no bytes.");
  try {
    return new TextDecoder().decode(Uint8Array.fromBase64(given));
  } catch (cause) {
    throw new HearsayError("incompatible", "etcd answered with bytes that are not in base64.", { cause });
  }
}

function nonsense(method: string): HearsayError {
  return new HearsayError("incompatible", `What etcd answers to ${method} is not understood.`);
}
