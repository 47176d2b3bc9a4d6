/**
 * A stand-in for the API of Kubernetes, which no test has. It replays the API's answers to a list and a watch
 * of pods, in the API's own JSON, and its failures.
 *
 * @module
 */

import { freePort } from "../process/ports.ts";

/** The fields of a pod in these tests. */
export interface PodOptions {
  readonly ip?: string;
  readonly port?: number;
  readonly phase?: string;
  readonly isLeaving?: boolean;
}

interface Event {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: Readonly<Record<string, unknown>>;
}

const NAMESPACE = "shop";
const PATH = `/api/v1/namespaces/${NAMESPACE}/pods`;

/** The stand-in, and the folder of a service account with access to it. */
export class KubernetesStandIn implements AsyncDisposable {
  /** The folder. */
  readonly serviceAccount: string;
  /** The queries of all requests, in order. */
  readonly asked: URLSearchParams[] = [];
  /** If set, replaces every answer. */
  failure: (() => Response) | undefined;
  /** The most pods in a page. */
  pageSize = 2;
  readonly #pods = new Map<string, Readonly<Record<string, unknown>>>();
  readonly #watches = new Set<ReadableStreamDefaultController<string>>();
  readonly #log: { readonly version: number; readonly event: Event }[] = [];
  readonly #scheme: "http" | "https";
  readonly #serve: () => Deno.HttpServer<Deno.NetAddr>;
  #server: Deno.HttpServer<Deno.NetAddr>;
  #token = "first";
  #version = 1_000;
  /** The answer to a watch from below this version is 410. */
  #oldest = 0;

  private constructor(folder: string, tls: { readonly cert: string; readonly key: string } | undefined) {
    this.serviceAccount = folder;
    this.#scheme = tls ? "https" : "http";
    const port = freePort();
    this.#serve = () => {
      const options = { hostname: "127.0.0.1", port, onListen: () => {}, ...tls };
      return Deno.serve(options, (request) => this.#answer(request));
    };
    this.#server = this.#serve();
  }

  /** Starts one. With a certificate it uses TLS, and `ca.crt` is in the folder. */
  static async start(
    tls?: { readonly ca: string; readonly cert: string; readonly key: string },
  ): Promise<KubernetesStandIn> {
    const folder = await Deno.makeTempDir({ prefix: "kubernetes_" });
    await Deno.writeTextFile(`${folder}/namespace`, NAMESPACE);
    if (tls) await Deno.writeTextFile(`${folder}/ca.crt`, tls.ca);
    const standIn = new KubernetesStandIn(folder, tls);
    await standIn.rotateToken("first");
    return standIn;
  }

  /** Its URL. */
  get server(): string {
    return `${this.#scheme}://127.0.0.1:${this.#server.addr.port}`;
  }

  /** The number of open watches. */
  get watches(): number {
    return this.#watches.size;
  }

  /** The number of lists of all pods, whatever their pages. */
  get lists(): number {
    return this.asked.filter((query) => !query.has("watch") && !query.has("continue")).length;
  }

  /** Makes another token valid from now on, and mounts it. */
  async rotateToken(token: string): Promise<void> {
    this.#token = token;
    await Deno.writeTextFile(`${this.serviceAccount}/token`, `${token}\n`);
  }

  /** Adds or changes a pod. */
  set(name: string, options: PodOptions = {}): void {
    const type = this.#pods.has(name) ? "MODIFIED" : "ADDED";
    const pod = podOf(name, { ...options, version: ++this.#version });
    this.#pods.set(name, pod);
    this.#emit({ type, object: pod });
  }

  /** Removes a pod. */
  delete(name: string): void {
    const pod = this.#pods.get(name)!;
    this.#pods.delete(name);
    const metadata = { ...pod.metadata as object, resourceVersion: String(++this.#version) };
    this.#emit({ type: "DELETED", object: { ...pod, metadata } });
  }

  /**
   * Sends a bookmark to all watches, as happens about once a minute; a change elsewhere has raised the
   * version.
   */
  bookmark(): void {
    this.#version += 10;
    const metadata = { resourceVersion: String(this.#version), creationTimestamp: null };
    const spec = { containers: null };
    this.#emit({ type: "BOOKMARK", object: { kind: "Pod", apiVersion: "v1", metadata, spec, status: {} } });
  }

  /** Drops all history up to now, without a message to the watches. */
  compact(): void {
    this.#oldest = this.#version;
    this.#log.length = 0;
  }

  /** Sends 410 to all watches, and ends them. */
  expire(): void {
    this.compact();
    this.#emit({ type: "ERROR", object: statusOf(410, "Expired", "too old resource version: 1 (1000)") });
    this.closeWatches();
  }

  /** Ends all watches without a message, as the API does every few minutes. */
  closeWatches(): void {
    for (const watch of this.#watches) watch.close();
    this.#watches.clear();
  }

  /** Sends all watches a line other than an event. */
  babble(line: string): void {
    for (const watch of this.#watches) watch.enqueue(`${line}\n`);
  }

  /** Stops answering. */
  async down(): Promise<void> {
    this.closeWatches();
    await this.#server.shutdown();
  }

  /** Answers again. */
  up(): void {
    this.#server = this.#serve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
    await Deno.remove(this.serviceAccount, { recursive: true });
  }

  #answer(request: Request): Response {
    const url = new URL(request.url);
    this.asked.push(url.searchParams);
    if (this.failure) return this.failure();
    if (request.headers.get("authorization") !== `Bearer ${this.#token}`) {
      return Response.json(statusOf(401, "Unauthorized", "Unauthorized"), { status: 401 });
    }
    if (url.pathname !== PATH) {
      return Response.json(statusOf(404, "NotFound", "the server could not find the requested resource"), {
        status: 404,
      });
    }
    return url.searchParams.get("watch") === "1"
      ? this.#watch(url.searchParams)
      : this.#list(url.searchParams);
  }

  #list(query: URLSearchParams): Response {
    const from = Number(query.get("continue") ?? 0);
    const limit = Math.min(Number(query.get("limit") ?? Infinity), this.pageSize);
    const pods = [...this.#pods.values()];
    const remaining = pods.length - from - limit;
    return Response.json({
      kind: "PodList",
      apiVersion: "v1",
      metadata: {
        resourceVersion: String(this.#version),
        ...(remaining > 0 && { continue: String(from + limit), remainingItemCount: remaining }),
      },
      // Items of a list have neither kind nor version of their own.
      items: pods.slice(from, from + limit).map(({ kind: _, apiVersion: __, ...pod }) => pod),
    });
  }

  #watch(query: URLSearchParams): Response {
    const from = Number(query.get("resourceVersion"));
    let mine: ReadableStreamDefaultController<string>;
    const lines = new ReadableStream<string>({
      start: (controller) => {
        mine = controller;
        if (from < this.#oldest) {
          const message = `too old resource version: ${from} (${this.#oldest})`;
          controller.enqueue(lineOf({ type: "ERROR", object: statusOf(410, "Expired", message) }));
          return controller.close();
        }
        for (const { version, event } of this.#log) if (version > from) controller.enqueue(lineOf(event));
        this.#watches.add(controller);
      },
      cancel: () => void this.#watches.delete(mine),
    });
    const headers = { "content-type": "application/json" };
    return new Response(lines.pipeThrough(new TextEncoderStream()), { headers });
  }

  #emit(event: Event): void {
    if (event.type !== "BOOKMARK" && event.type !== "ERROR") {
      this.#log.push({ version: this.#version, event });
    }
    for (const watch of this.#watches) watch.enqueue(lineOf(event));
  }
}

function lineOf(event: Event): string {
  return `${JSON.stringify(event)}\n`;
}

function statusOf(code: number, reason: string, message: string): Readonly<Record<string, unknown>> {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code };
}

function podOf(
  name: string,
  { ip, port = 7001, phase = "Running", isLeaving = false, version }: PodOptions & {
    readonly version: number;
  },
): Readonly<Record<string, unknown>> {
  return {
    kind: "Pod",
    apiVersion: "v1",
    metadata: {
      name,
      namespace: NAMESPACE,
      uid: `00000000-0000-4000-8000-${name.padStart(12, "0")}`,
      resourceVersion: String(version),
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...(isLeaving && { deletionTimestamp: "2026-01-01T00:01:00Z", deletionGracePeriodSeconds: 30 }),
      labels: { app: "orders", "pod-template-hash": "5d9c7b8f6" },
    },
    spec: {
      containers: [
        { name: "sidecar", image: "sidecar:1" },
        {
          name: "orders",
          image: "orders:1",
          ports: [
            { name: "http", containerPort: 8080, protocol: "TCP" },
            { name: "gossip", containerPort: port, protocol: "TCP" },
          ],
        },
      ],
      nodeName: "node-1",
    },
    status: {
      phase,
      conditions: [{ type: "Ready", status: "False", lastProbeTime: null }],
      hostIP: "192.168.0.1",
      ...(ip !== undefined && { podIP: ip, podIPs: [{ ip }] }),
      qosClass: "BestEffort",
    },
  };
}
