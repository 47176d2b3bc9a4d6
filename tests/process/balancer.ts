/**
 * Clients behind a load balancer: each request is sent once, to an instance whose readiness probe succeeded recently.
 *
 * @module
 */

/** The interval of readiness probes. */
const PROBE_INTERVAL_MS = 100;
/** How long a probe is valid, from its start. */
const PROBE_COUNTS_MS = 1_000;
/** The time limit of a request, with the wait for a ready instance. */
const REQUEST_TIMEOUT_MS = 5_000;

/** A request without the expected response. */
export interface Failure {
  readonly request: string;
  readonly reason: string;
}

/** The results of all requests. */
export interface LoadResult {
  /** Expected responses, by method and path. */
  readonly answered: ReadonlyMap<string, number>;
  readonly failures: readonly Failure[];
  /** Requests sent, by address. */
  readonly sentTo: ReadonlyMap<string, number>;
}

/** Probes all addresses and sends requests to ready ones. It never repeats a request. */
export class Balancer implements AsyncDisposable {
  readonly #origins: readonly string[];
  readonly #clients: readonly Deno.HttpClient[];
  /** The start of the last successful probe, by origin. */
  readonly #readySince = new Map<string, number>();
  readonly #over = new AbortController();
  readonly #probing: Promise<unknown>;
  readonly #answered = new Map<string, number>();
  readonly #sentTo = new Map<string, number>();
  readonly #failures: Failure[] = [];
  #turn = 0;

  /** Starts the probes. */
  constructor(origins: readonly string[], { caCerts }: { readonly caCerts: readonly string[] }) {
    this.#origins = origins;
    // HTTP/1 has a connection for each request in progress, HTTP/2 one for all.
    this.#clients = [false, true].map((http2) =>
      Deno.createHttpClient({ caCerts: [...caCerts], http1: !http2, http2 })
    );
    this.#probing = Promise.all(origins.map((origin) => this.#probe(origin)));
  }

  /** The results so far. */
  get result(): LoadResult {
    return { answered: this.#answered, failures: this.#failures, sentTo: this.#sentTo };
  }

  /** True if the last probe succeeded and is still valid. */
  isReady(origin: string): boolean {
    return performance.now() - (this.#readySince.get(origin) ?? -Infinity) < PROBE_COUNTS_MS;
  }

  /** Sends a request to a ready instance. A response with another status than `status` is a failure. */
  async send(path: string, { status, ...init }: RequestInit & { readonly status: number }): Promise<unknown> {
    const request = `${init.method ?? "GET"} ${path}`;
    const origin = await this.#nextReady();
    const reason = origin === undefined
      ? "no instance was ready"
      : await this.#sendTo(origin, path, { ...init, status });
    if (typeof reason !== "string") {
      this.#answered.set(request, (this.#answered.get(request) ?? 0) + 1);
      return reason.body;
    }
    this.#failures.push({ request: `${request} to ${origin}`, reason });
    return undefined;
  }

  /** Sends orders and price requests from this many clients until the signal is aborted. */
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

  /** A ready instance, round-robin. */
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
