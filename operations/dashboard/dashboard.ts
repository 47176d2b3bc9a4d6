/**
 * The handler of a dashboard: the page, its data, and the stream of its data.
 *
 * @module
 */

import type { ClientAddress } from "../../transport/strangers.ts";
import { type Gossiper, insightOf } from "../../gossiper/gossiper.ts";
import { assertOptions, FLAG, rule, type Rules } from "../../options/rules.ts";
import { dataOf } from "./data.ts";
import { explainedMember, seenKey, Unanswered } from "./explained.ts";
import { MAX_SEARCH_LENGTH } from "./limits.ts";
import { PAGE } from "./page.ts";
import { pageHeaders } from "./page_headers.ts";
import { SharedDocument } from "./shared_document.ts";
import type { StateQuery } from "./state_rows.ts";
import { type MakeDocument, stamped, Streams } from "./streams.ts";
import { Timeline } from "./timeline.ts";
import { whyForeignPage, whyStranger } from "./visitors.ts";

/** Options of {@linkcode dashboard}. */
export interface DashboardOptions {
  /** The path of the page, such as `"/admin/gossip"`; `"/dashboard"` by default, `"/"` for the root. */
  readonly prefix?: string;
  /**
   * `true`: requests are answered whatever their address and `Host`. Set it only behind an authentication of your own,
   * because the page shows all state. `false` by default: only clients on this machine, without a proxy.
   */
  readonly open?: boolean;
}

/** Answers requests for a dashboard; resolves with `undefined` for any other path. */
export type DashboardHandler = (
  request: Request,
  /** The `info` of `Deno.serve`. Without it, the client's address is unknown, and only `open: true` allows it. */
  info?: { readonly remoteAddr: ClientAddress },
) => Promise<Response | undefined>;

const PREFIX = rule((given) => typeof given === "string" && /^(\/[\w.~-]+)*\/?$/.test(given), {
  allowed: 'a path such as "/dashboard"',
});
const OPTIONS: Rules<DashboardOptions> = { prefix: PREFIX, open: FLAG };

/**
 * Headers of every answer. Over plain HTTP a page of another origin may send a request that does not name the origin.
 * Its browser then ends the answer by the resource policy, so that a stream of that page takes no place for long.
 */
const HEADERS = {
  "cache-control": "no-store",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
} as const;

/**
 * Returns a handler for your own server, with a page that shows the cluster as this member sees it: members, views, state,
 * phases and a timeline, live. It only reads: any request except GET is refused.
 *
 * The paths are `prefix` for the page, and below it `data`, `explain`, `seen` (JSON for this page; it may change with any
 * release) and `events` (server-sent events). Make one handler for a member, at its start: the timeline begins there.
 *
 * @throws {ConfigurationError} if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { dashboard } from "@hearsay/gossip/dashboard";
 *
 * await using node = await join({ cluster: "orders", listen: { port: 0 } });
 * const show = dashboard(node);
 * await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request, info) =>
 *   await show(request, info) ?? new Response("Not found.\n", { status: 404 }));
 * const page = await fetch(`http://127.0.0.1:${server.addr.port}/dashboard/`);
 * console.assert((await page.text()).startsWith("<!doctype html>"));
 * ```
 */
export function dashboard(node: Gossiper, options: DashboardOptions = {}): DashboardHandler {
  assertOptions(options, OPTIONS);
  const site = new Site(node, options);
  return (request, info) => site.answer(request, info?.remoteAddr);
}

class Site {
  readonly #node: Gossiper;
  readonly #root: string;
  readonly #isOpen: boolean;
  readonly #timeline: Timeline;
  readonly #streams: Streams;
  readonly #shared: SharedDocument;

  constructor(node: Gossiper, { prefix = "/dashboard", open = false }: DashboardOptions) {
    const { runtime } = insightOf(node).host;
    const { phase, signal } = node;
    this.#node = node;
    this.#root = `${prefix.replace(/\/$/, "")}/`;
    this.#isOpen = open;
    this.#timeline = new Timeline(node.events, { runtime, phase, signal });
    this.#shared = new SharedDocument(runtime);
    // The first listener: the streams make their documents after it.
    this.#timeline.onChange(() => this.#shared.forget());
    this.#streams = new Streams({
      runtime,
      signal,
      onChange: (listener) => this.#timeline.onChange(listener),
    });
  }

  async answer(request: Request, remote: ClientAddress | undefined): Promise<Response | undefined> {
    const url = URL.parse(request.url);
    const answer = url && this.#answerAt(url.pathname);
    if (!answer) return undefined;
    const refused = this.#refuse(request, remote);
    return refused ?? await answer(request, url.searchParams);
  }

  /** The answer at a path of the dashboard. */
  #answerAt(
    path: string,
  ): ((request: Request, query: URLSearchParams) => Promise<Response> | Response) | undefined {
    switch (path) {
      case this.#root:
        return async () => new Response(PAGE, { headers: { ...HEADERS, ...await pageHeaders() } });
      case `${this.#root}data`:
        return (request, query) => foreign(request) ?? this.#data(queryOf(query));
      case `${this.#root}events`:
        return (request, query) => foreign(request) ?? this.#events(queryOf(query));
      case `${this.#root}explain`:
        return (request, query) =>
          foreign(request) ?? this.#answerTo(explainedMember(this.#node, query.get("member")));
      case `${this.#root}seen`:
        return (request, query) => foreign(request) ?? this.#answerTo(seenKey(this.#node, query.get("key")));
      case this.#root.slice(0, -1):
        // A relative address: a proxy may have taken away the first part of the path.
        return () => answer(308, "", { location: `${this.#root.split("/").at(-2)}/` });
      default:
        return undefined;
    }
  }

  #refuse(request: Request, remote: ClientAddress | undefined): Response | undefined {
    const reason = this.#isOpen ? undefined : whyStranger(request, remote);
    if (reason !== undefined) return answer(403, `${reason}\n`);
    if (request.method === "GET") return undefined;
    return answer(405, "The dashboard only reads; use GET.\n", { allow: "GET" });
  }

  #data(query: StateQuery): Response {
    return this.#json(this.#makerOf(query)());
  }

  #answerTo(answered: object): Response {
    if (!(answered instanceof Unanswered)) return this.#json(JSON.stringify(answered));
    return answer(answered.status, `${answered.reason}\n`);
  }

  #json(document: string): Response {
    const { runtime } = insightOf(this.#node).host;
    return answer(200, stamped(document, runtime.wallMs()), { "content-type": "application/json" });
  }

  #events(query: StateQuery): Response {
    // 204 ends the attempts of a browser to open its stream again.
    if (this.#node.signal.aborted) return answer(204, null);
    const make = this.#makerOf(query);
    // The last document differs: it says that the member has left.
    const name = () => JSON.stringify([query, this.#node.signal.aborted]);
    const stream = this.#streams.open(() => this.#shared.take(name(), make));
    if (!stream) return answer(503, "Too many pages of this dashboard are open.\n", { "retry-after": "5" });
    return answer(200, stream, { "content-type": "text/event-stream" });
  }

  #makerOf(query: StateQuery): MakeDocument {
    return () => JSON.stringify(dataOf(this.#node, this.#timeline, query));
  }
}

function answer(status: number, body: BodyInit | null, headers: Record<string, string> = {}): Response {
  return new Response(body, { status, headers: { ...HEADERS, ...headers } });
}

function foreign(request: Request): Response | undefined {
  const reason = whyForeignPage(request);
  return reason === undefined ? undefined : answer(403, `${reason}\n`);
}

function queryOf(query: URLSearchParams): StateQuery {
  return {
    search: (query.get("search") ?? "").slice(0, MAX_SEARCH_LENGTH).toLowerCase(),
    internal: query.get("internal") === "true",
  };
}
