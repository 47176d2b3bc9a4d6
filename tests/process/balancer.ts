/**
 * Clients behind a load balancer, as far as a test needs one: requests go to addresses that have said lately that they
 * are ready, each once.
 *
 * @module
 */

/** How often each address is asked whether it is ready. */
const PROBE_INTERVAL_MS = 100;
/** For how long an answer counts, from when it was asked for. */
const PROBE_COUNTS_MS = 1_000;
/** How long a request may take, with waiting until somebody is ready. */
const REQUEST_TIMEOUT_MS = 5_000;

/** One request that was not answered as it should be. */
export interface Failure {
  readonly request: string;
  readonly reason: string;
}

/** What became of the load. */
export interface LoadResult {
  /** By method and path, how many were answered as they should be. */
  readonly answered: ReadonlyMap<string, number>;
  readonly failures: readonly Failure[];
  /** By address, how many requests were sent there. */
  readonly sentTo: ReadonlyMap<string, number>;
}

/** Asks all addresses whether they are ready, and sends requests to those that are. Nothing is sent twice. */
export class Balancer implements AsyncDisposable {
  readonly #origins: readonly string[];
  readonly #clients: readonly Deno.HttpClient[];
  /** By origin, when the last probe was begun that was answered by 200. */
  readonly #readySince = new Map<string, number>();
  readonly #over = new AbortController();
  readonly #probing: Promise<unknown>;
  readonly #answered = new Map<string, number>();
  readonly #sentTo = new Map<string, number>();
  readonly #failures: Failure[] = [];
  #turn = 0;

  /** Begins to probe. */
  constructor(origins: readonly string[], { caCerts }: { readonly caCerts: readonly string[] }) {
    this.#origins = origins;
    // Clients of both kinds: with a connection for each request under way, and with one for all.
    this.#clients = [false, true].map((http2) =>
      Deno.createHttpClient({ caCerts: [...caCerts], http1: !http2, http2 })
    );
    this.#probing = Promise.all(origins.map((origin) => this.#probe(origin)));
  }

  /** What became of all that was sent so far. */
  get result(): LoadResult {
    return { answered: this.#answered, failures: this.#failures, sentTo: this.#sentTo };
  }

  /** Whether an address takes requests, as far as is known. */
  isReady(origin: string): boolean {
    return performance.now() - (this.#readySince.get(origin) ?? -Infinity) < PROBE_COUNTS_MS;
  }

  /** Sends a request to one of those that are ready; what it should be answered with is given. */
  async send(path: string, { status, ...init }: RequestInit & { readonly status: number }): Promise<unknown> {
    const request = `${init.method ?? "GET"} ${path}`;
    const origin = await this.#nextReady();
    const reason = origin === undefined
      ? "nobody was ready"
      : await this.#sendTo(origin, path, { ...init, status });
    if (typeof reason !== "string") {
      this.#answered.set(request, (this.#answered.get(request) ?? 0) + 1);
      return reason.body;
    }
    this.#failures.push({ request: `${request} to ${origin}`, reason });
    return undefined;
  }

  /** Goes on sending until the signal is aborted: orders and questions, by so many clients at once. */
  async load({ clients, signal }: { readonly clients: number; readonly signal: AbortSignal }): Promise<void> {
    await Promise.all(Array.from({ length: clients }, async (_, client) => {
      const body = JSON.stringify({ item: "tea", quantity: client + 1 });
      while (!signal.aborted) {
        await this.send("/orders", { method: "POST", body, status: 201 });
        await this.send("/prices", { status: 200 });
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#probing;
    for (const client of this.#clients) client.close();
  }

  /** One of those that are ready, in turn. */
  async #nextReady(): Promise<string | undefined> {
    const untilMs = performance.now() + REQUEST_TIMEOUT_MS;
    while (performance.now() < untilMs) {
      const ready = this.#origins.filter((origin) => this.isReady(origin));
      if (ready.length > 0) return ready[this.#turn++ % ready.length];
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return undefined;
  }

  async #sendTo(
    origin: string,
    path: string,
    { status, ...init }: RequestInit & { readonly status: number },
  ): Promise<{ readonly body: unknown } | string> {
    this.#sentTo.set(origin, (this.#sentTo.get(origin) ?? 0) + 1);
    try {
      const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
      const client = this.#clients[this.#turn % this.#clients.length]!;
      const response = await fetch(`${origin}${path}`, { ...init, client, signal });
      const text = await response.text();
      return response.status === status
        ? { body: JSON.parse(text) }
        : `answered by ${response.status}: ${text}`;
    } catch (error) {
      return String(error);
    }
  }

  async #probe(origin: string): Promise<void> {
    while (!this.#over.signal.aborted) {
      const beginMs = performance.now();
      try {
        const signal = AbortSignal.any([this.#over.signal, AbortSignal.timeout(PROBE_COUNTS_MS)]);
        const response = await fetch(`${origin}/ready`, { client: this.#clients[0]!, signal });
        await response.body?.cancel();
        if (response.status === 200) this.#readySince.set(origin, beginMs);
        else this.#readySince.delete(origin);
      } catch {
        this.#readySince.delete(origin);
      }
      await new Promise((resolve) => setTimeout(resolve, PROBE_INTERVAL_MS));
    }
  }
}
