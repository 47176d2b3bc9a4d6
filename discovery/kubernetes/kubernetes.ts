/**
 * Discovery by the Kubernetes API: sends a handshake to each pod that a label selector matches.
 *
 * @module
 */

import { assertDeno } from "../../common/needs_deno.ts";
import type { Discovery, DiscoveryContext } from "../../contracts/cluster.ts";
import { HearsayError } from "../../common/errors.ts";
import { addressAt, isHost, isPlainAddress } from "../../common/host_names.ts";
import { assertNone, FLAG, isPort, optionsOf, rule, TEXT } from "../../options/rules.ts";
import { assertMayRead } from "../../common/permission.ts";
import { deadlineAfter, sleep } from "../../common/runtime.ts";
import { retryForever } from "../failures.ts";
import { type AddressSink, openMembership } from "../open_membership.ts";
import { askJson, askLines, type AskOptions, HttpRefusal, withoutSecrets } from "../http.ts";

export type { Discovery } from "../../contracts/cluster.ts";

/** The folder in which Kubernetes mounts a pod's service account by default. */
export const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
/** The most pods in one page of a list. */
const PAGE_SIZE = 100;
/** The most pages of a list. 1,000: far more than the pods of any service need. */
const MAX_PAGES = 1_000;
/**
 * The most pods that a watch may add. 4,096: four times the addresses that are dialed. Higher: a change costs more,
 * because each change copies all addresses.
 */
const MAX_PODS = 4_096;
/** The most bytes of a page, or of one event of a watch. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** The longest wait for the beginning of an answer, in milliseconds. */
const ANSWER_TIMEOUT_MS = 10_000;
/** The requested duration of a watch, in seconds. A watch that does not end is canceled 30 seconds later. */
const WATCH_SECONDS = 300;
const GONE = 410;

/** Options of {@linkcode kubernetes}. */
export interface KubernetesOptions {
  /** The label selector of the pods, such as `app=orders`. */
  readonly labelSelector: string;
  /** The port of the members: a number, or the name of a container's port. */
  readonly port: number | string;
  /** The namespace of the pods; this pod's namespace by default. */
  readonly namespace?: string;
  /** The URL of the API; `https://kubernetes.default.svc` by default. */
  readonly server?: string;
  /** The folder with `token`, `ca.crt` and `namespace`; by default {@linkcode SERVICE_ACCOUNT}. */
  readonly serviceAccount?: string;
  /** Dials members by `wss`; false by default. */
  readonly secure?: boolean;
}

const OPTIONS = optionsOf<KubernetesOptions>({
  labelSelector: rule((given) => typeof given === "string" && given !== "", {
    problem: "must be a label selector",
    allowed: 'one such as "app=orders"',
  }),
  port: rule((given) => isPort(given) || (typeof given === "string" && given !== ""), {
    problem: "must be a port",
    allowed: "a whole number from 1 to 65535, or a port's name",
  }),
  namespace: TEXT,
  server: rule(
    (given) =>
      typeof given === "string" && /^https?:\/\//.test(given) && isPlainAddress(given) && URL.canParse(given),
    {
      problem: "must be a URL",
      allowed: 'one such as "https://kubernetes.default.svc", without credentials, query or fragment',
    },
  ),
  serviceAccount: TEXT,
  secure: FLAG,
}, ["labelSelector", "port"]);

/**
 * Finds members in the pods that a label selector matches. It dials every running pod, ready or not. Each
 * dial is a handshake; the other members are learned by gossip. Needs `--allow-read` for the service
 * account's folder, `--allow-net` for the API and the pods, and a role that may `list` and `watch` `pods` in
 * the namespace. Each request reads the token again, because Kubernetes rotates it.
 *
 * If the API is unreachable or refuses a request, `DiscoveryFailed` is emitted and the previous addresses
 * stay.
 *
 * @example
 * ```ts
 * import { kubernetes } from "@hearsay/gossip/kubernetes";
 *
 * const discovery = kubernetes({ labelSelector: "app=orders", port: 7001 });
 * console.assert(discovery.openMembership);
 * ```
 *
 * @throws {ConfigurationError} naming every fault in the options.
 */
export function kubernetes(options: KubernetesOptions): Discovery {
  assertNone(OPTIONS("kubernetes", options));
  assertDeno("kubernetes", "give `seeds` the name of a headless service");
  return openMembership((context, sink) => new Pods(options, { context, sink }).run());
}

/** The API has dropped the version at which a watch should start. */
class Gone extends Error {}

class Pods {
  readonly #options: KubernetesOptions;
  readonly #context: DiscoveryContext;
  readonly #sink: AddressSink;
  /** The addresses of running pods by pod name. */
  #addresses = new Map<string, string>();

  constructor(
    options: KubernetesOptions,
    { context, sink }: { readonly context: DiscoveryContext; readonly sink: AddressSink },
  ) {
    this.#options = options;
    this.#context = context;
    this.#sink = sink;
  }

  async run(): Promise<void> {
    const { server = "https://kubernetes.default.svc", labelSelector } = this.#options;
    const { signal } = this.#sink;
    const source = `Kubernetes at ${server}: pods ${labelSelector}`;
    await retryForever(({ succeeded }) => this.#follow(succeeded), {
      context: this.#context,
      source,
      signal,
    });
  }

  /** Lists all pods and watches for changes, until the API has dropped the last known version. */
  async #follow(succeeded: () => void): Promise<void> {
    const { signal } = this.#sink;
    using client = await this.#client();
    try {
      let version = await this.#list(client);
      succeeded();
      for (;;) {
        version = await this.#watch(version, client);
        succeeded();
        await sleep(this.#context.runtime, this.#context.retryDelay(1), { signal });
      }
    } catch (error) {
      if (!(error instanceof Gone || (error instanceof HttpRefusal && error.status === GONE))) throw error;
    }
  }

  /** Reads all pods. Returns the version of the list. */
  async #list(client: Deno.HttpClient | undefined): Promise<string> {
    const addresses = new Map<string, string>();
    let version = "";
    let next: string | undefined;
    let pages = 0;
    do {
      // Without a limit, a server that always names a next page would silently keep this member from its first watch.
      if (++pages > MAX_PAGES) throw tooMany(`The list must have at most ${MAX_PAGES} pages.`);
      const query = { limit: String(PAGE_SIZE), ...(next && { continue: next }) };
      const page = await askJson(...await this.#request(query, client)) as List | null;
      if (!Array.isArray(page?.items)) throw nonsense("a list of pods");
      for (const pod of page.items) place(addresses, pod, this.#options);
      version = page.metadata?.resourceVersion ?? "";
      next = page.metadata?.continue || undefined;
    } while (next !== undefined);
    this.#addresses = addresses;
    this.#publish();
    return version;
  }

  /** Watches for changes after a version, until the API ends the watch. Returns the last version. */
  async #watch(from: string, client: Deno.HttpClient | undefined): Promise<string> {
    const { signal } = this.#sink;
    const query = {
      watch: "1",
      allowWatchBookmarks: "true",
      resourceVersion: from,
      timeoutSeconds: String(WATCH_SECONDS),
    };
    const [url, options] = await this.#request(query, client);
    // The other end may have crashed without closing the connection.
    const lastsMs = (WATCH_SECONDS + 30) * 1_000;
    using enough = deadlineAfter(this.#context.runtime, lastsMs, "Watching pods", { signal });
    let version = from;
    try {
      for await (const event of askLines(url, { ...options, signal: enough.signal })) {
        version = this.#take(event as WatchEvent | null) ?? version;
      }
    } catch (error) {
      if (signal.aborted || !enough.signal.aborted) throw error;
    }
    return version;
  }

  /** Handles an event. Returns its version. */
  #take(event: WatchEvent | null): string | undefined {
    const { type, object } = event ?? {};
    if (type === "ERROR") {
      if (object?.code === GONE) throw new Gone();
      const reason = withoutSecrets(String(object?.message ?? "without a reason"), []);
      throw new HearsayError("refused", `The API ended the watch: ${reason}`);
    }
    if (typeof object !== "object" || object === null) throw nonsense("an event");
    if (type === "ADDED" || type === "MODIFIED" || type === "DELETED") {
      if (type === "DELETED") this.#addresses.delete(nameOf(object));
      else place(this.#addresses, object, this.#options);
      if (this.#addresses.size > MAX_PODS) throw tooMany(`At most ${MAX_PODS} pods may run.`);
      this.#publish();
    }
    // A bookmark has only a version.
    return object.metadata?.resourceVersion;
  }

  #publish(): void {
    this.#sink.found([...new Set(this.#addresses.values())]);
  }

  async #client(): Promise<Deno.HttpClient | undefined> {
    try {
      return Deno.createHttpClient({ caCerts: [await this.#mounted("ca.crt")] });
    } catch (error) {
      // Without `ca.crt`, the system's authorities are trusted.
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  async #request(
    query: Readonly<Record<string, string>>,
    client: Deno.HttpClient | undefined,
  ): Promise<[string, AskOptions]> {
    const { server = "https://kubernetes.default.svc", labelSelector } = this.#options;
    const namespace = this.#options.namespace ?? await this.#mounted("namespace");
    const search = new URLSearchParams({ labelSelector, ...query });
    const token = await this.#mounted("token");
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
    return [`${server.replace(/\/$/, "")}${path}?${search}`, {
      runtime: this.#context.runtime,
      signal: this.#sink.signal,
      timeoutMs: ANSWER_TIMEOUT_MS,
      maxBytes: MAX_ANSWER_BYTES,
      headers: { authorization: `Bearer ${token}` },
      secrets: [token],
      client,
    }];
  }

  async #mounted(file: string): Promise<string> {
    const { serviceAccount = SERVICE_ACCOUNT } = this.#options;
    const path = `${serviceAccount}/${file}`;
    assertMayRead(path);
    return (await Deno.readTextFile(path)).trim();
  }
}

/** The parts of the API's JSON that are read. Any part may be missing. */
interface List {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly Pod[];
}

interface Pod {
  readonly metadata?: {
    readonly name?: unknown;
    readonly resourceVersion?: string;
    readonly deletionTimestamp?: unknown;
  };
  readonly spec?: { readonly containers?: readonly { readonly ports?: readonly ContainerPort[] }[] };
  readonly status?: { readonly phase?: unknown; readonly podIP?: unknown };
}

interface ContainerPort {
  readonly name?: unknown;
  readonly containerPort?: unknown;
}

interface WatchEvent {
  readonly type?: unknown;
  readonly object?: Pod & { readonly code?: unknown; readonly message?: unknown };
}

/** Stores the address of a running pod. Deletes the address of any other pod. */
function place(addresses: Map<string, string>, pod: Pod, options: KubernetesOptions): void {
  const { metadata, status } = pod ?? {};
  const ip = status?.podIP;
  const port = portOf(pod, options.port);
  const runs = status?.phase === "Running" && metadata?.deletionTimestamp === undefined && isPort(port);
  if (!runs || !isHost(ip) || !/^[\da-f.:]+$/i.test(ip)) return void addresses.delete(nameOf(pod));
  addresses.set(nameOf(pod), addressAt(ip, { port, secure: options.secure ?? false }));
}

function portOf(pod: Pod, port: number | string): unknown {
  if (typeof port === "number") return port;
  const ports = (pod?.spec?.containers ?? []).flatMap(({ ports = [] }) => ports);
  return ports.find(({ name }) => name === port)?.containerPort;
}

function nameOf(pod: Pod): string {
  const name = pod?.metadata?.name;
  if (typeof name === "string") return name;
  throw nonsense("a pod");
}

function tooMany(rule: string): HearsayError {
  return new HearsayError(
    "too_large",
    `${rule} The API sent more; a narrower \`labelSelector\` sends fewer.`,
  );
}

function nonsense(what: string): HearsayError {
  return new HearsayError("incompatible", `The API sent an invalid answer for ${what}.`);
}
