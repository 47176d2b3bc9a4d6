/**
 * Answers the probes of a platform and the questions of an operator over HTTP.
 *
 * @module
 */

import { isDialable, type Member } from "../contracts/cluster.ts";
import { bracketed } from "../common/host_names.ts";
import { printableJson } from "../common/printable.ts";
import { abortable, deadlineAfter, realRuntime, type Runtime } from "../common/runtime.ts";
import type { MemberView, WaitOptions } from "../gossiper/contract.ts";
import { assertOptions, FUNCTION, rule, type Rules, RUNTIME, wholeNumber } from "../options/rules.ts";
import { type OperatedNode, Readiness, type ReadyReport } from "./readiness.ts";

/** Options of {@linkcode operations}. */
export interface OperationsOptions {
  /** The path before each path, such as `/ops`; none by default. */
  readonly prefix?: string;
  /**
   * The number of members that must be alive for `/ready`, with this one; 1 by default. With 2 or more, a member that
   * hears no other is not ready. Higher: fewer members answer with old state, and more are taken out at once.
   */
  readonly members?: number;
  /**
   * The longest wait of `/ready` for convergence with other members at the start, in milliseconds; 10,000 by default.
   * The first member of a cluster waits for all of this time. `Infinity`: it waits for another member.
   */
  readonly within?: number;
  /** Returns a reason of the service itself not to be ready, as a sentence; `undefined` if there is none. */
  readonly waitsFor?: () => string | undefined;
  /** Returns the text of `/metrics`, in the format of Prometheus. Without it `/metrics` is not found. */
  readonly metrics?: () => string | Promise<string>;
  /** Clock and timers; the real ones by default. */
  readonly runtime?: Runtime;
}

/** Answers requests for a member's operation. */
export interface OperationsHandler {
  /** Answers a request; `undefined` for a path of the service itself. Never rejects. */
  (request: Request): Promise<Response | undefined>;
  /**
   * Resolves with the report once `/ready` would answer 200. Rejects with the signal's reason, or with a `HearsayError`
   * of code `stopped` when the member begins to leave.
   */
  whenReady(options?: WaitOptions): Promise<ReadyReport>;
}

/** The default of {@linkcode OperationsOptions.within}. 10 s: a member alone for longer is reported as `Alone`. */
export const READY_WITHIN = 10_000;
/** The longest wait for the text of `/metrics`, in milliseconds: the usual limit of a scrape. */
const METRICS_TIMEOUT = 10_000;

const RULES: Rules<OperationsOptions> = {
  prefix: rule((given) => typeof given === "string" && /^$|^(\/[\w.~-]+)+$/.test(given), {
    allowed: 'a path such as "/ops", without a slash at its end',
  }),
  members: wholeNumber({ least: 1, unit: "members" }),
  within: rule((given) => typeof given === "number" && given >= 0, {
    allowed: "a number of milliseconds of at least 0, or `Infinity`",
  }),
  waitsFor: FUNCTION,
  metrics: FUNCTION,
  runtime: RUNTIME,
};

/**
 * Returns a handler for the paths `/live`, `/ready`, `/members` and `/metrics`. Mount it in your own server.
 *
 * - `/live`: 200 while the member runs, and 503 after its end.
 * - `/ready`: 200 or 503, with a {@linkcode ReadyReport} of the conditions that are not met.
 * - `/members`: the id, status, address and block of each known member. Keys and values are not shown.
 * - `/metrics`: the text of the option `metrics`; 404 without it.
 *
 * `GET` and `HEAD` are answered, and other methods with 405. There is no access control: serve it on loopback, on a port
 * for operators, or behind the authentication of the service.
 *
 * @throws {ConfigurationError} if an option is invalid.
 *
 * @example
 * ```ts
 * import { join, serve } from "@hearsay/gossip";
 * import { operations } from "@hearsay/gossip/operations";
 *
 * await using node = await join({ cluster: "orders", listen: { port: 0 } });
 * const operate = operations(node, { within: 0 });
 * const server = serve({ port: 0 }, async (request) => {
 *   return await operate(request) ?? new Response("Not found.\n", { status: 404 });
 * });
 * const { status } = await fetch(`http://127.0.0.1:${server.addr.port}/ready`, { method: "HEAD" });
 * console.assert(status === 200);
 * await server.shutdown();
 * ```
 */
export function operations(node: OperatedNode, options: OperationsOptions = {}): OperationsHandler {
  assertOptions(options, RULES);
  const pages = new Pages(node, options);
  return Object.assign((request: Request) => pages.answer(request), {
    whenReady: (wait: WaitOptions = {}) => pages.readiness.reached(wait),
  });
}

/** A response as plain data: several requests may wait for the same one, and a body of a `Response` is read once. */
interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

class Pages {
  readonly readiness: Readiness;
  readonly #node: OperatedNode;
  readonly #prefix: string;
  readonly #runtime: Runtime;
  readonly #cluster: string;
  readonly #metrics: OperationsOptions["metrics"];
  readonly #pages: ReadonlyMap<string, () => Answer | Promise<Answer>>;
  #hasEnded = false;
  /** The text that is being made: several requests at once wait for one text. */
  #makingMetrics: Promise<Answer> | undefined;

  constructor(node: OperatedNode, options: OperationsOptions) {
    const { prefix = "", members = 1, within = READY_WITHIN, waitsFor = () => undefined } = options;
    this.#node = node;
    this.#prefix = prefix;
    this.#runtime = options.runtime ?? realRuntime;
    this.#metrics = options.metrics;
    this.#cluster = node.snapshot().cluster;
    this.readiness = new Readiness(node, { members, within, waitsFor, runtime: this.#runtime });
    void node.closed.then(() => this.#hasEnded = true);
    this.#pages = new Map<string, () => Answer | Promise<Answer>>([
      ["/live", () => this.#live()],
      ["/ready", () => this.#ready()],
      ["/members", () => this.#members()],
      [
        "/metrics",
        () => this.#makingMetrics ??= this.#makeMetrics().finally(() => this.#makingMetrics = undefined),
      ],
    ]);
  }

  async answer(request: Request): Promise<Response | undefined> {
    const path = URL.parse(request.url)?.pathname ?? "";
    if (!path.startsWith(this.#prefix)) return undefined;
    const page = this.#pages.get(path.slice(this.#prefix.length));
    if (page === undefined) return undefined;
    const { method } = request;
    if (method !== "GET" && method !== "HEAD") {
      const { body, status, headers } = sentence(405, `${path} answers GET and HEAD only.`);
      return new Response(body, { status, headers: { ...headers, allow: "GET, HEAD" } });
    }
    const { body, ...init } = await page();
    return new Response(method === "GET" ? body : null, init);
  }

  #live(): Answer {
    return json(this.#hasEnded ? 503 : 200, { live: !this.#hasEnded });
  }

  #ready(): Answer {
    const { report } = this.readiness;
    return json(report.ready ? 200 : 503, report);
  }

  #members(): Answer {
    const { id: self, members } = this.#node;
    return json(200, { self, cluster: this.#cluster, members: members.map(shown) });
  }

  async #makeMetrics(): Promise<Answer> {
    if (this.#metrics === undefined) return sentence(404, "This service has no metrics.");
    using deadline = deadlineAfter(this.#runtime, METRICS_TIMEOUT, "`metrics` of operations");
    try {
      const text = await abortable(Promise.resolve(this.#metrics()), deadline.signal);
      if (typeof text !== "string") throw new TypeError("`metrics` must return a text.");
      return answerOf(200, text, "text/plain; version=0.0.4; charset=utf-8");
    } catch (error) {
      this.#node.events.publish({ type: "CallbackFailed", where: "`metrics` of operations", error });
      return sentence(500, "The metrics could not be read; the log has the reason.");
    }
  }
}

/** A member as `/members` shows it. */
function shown({ id, status, isSelf, member, incarnation, block }: MemberView): object {
  return {
    id,
    status,
    isSelf,
    address: member && isDialable(member) ? addressOf(member) : null,
    kinds: member?.kinds ?? [],
    incarnation: incarnation ?? null,
    block: block ? { reason: block.reason, sinceUnixMilliseconds: block.sinceMs } : null,
  };
}

function addressOf({ host, port, url }: Member): string {
  return url ?? `${bracketed(host)}:${port}`;
}

function json(status: number, value: object): Answer {
  return answerOf(status, `${printableJson(value)}\n`, "application/json");
}

function sentence(status: number, text: string): Answer {
  return answerOf(status, `${text}\n`, "text/plain; charset=utf-8");
}

function answerOf(status: number, body: string, type: string): Answer {
  // A browser must not show an old answer, and must not take an answer for a page.
  const headers = { "content-type": type, "cache-control": "no-store", "x-content-type-options": "nosniff" };
  return { status, body, headers };
}
