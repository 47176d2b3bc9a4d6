/**
 * Discovery by the API of Kubernetes: the pods that a label selector names are greeted.
 *
 * @module
 */

import type { Discovery, DiscoverySite } from "../gossiper/cluster.ts";
import { HearsayError } from "../gossiper/errors.ts";
import { addressAt, isHost, isPlainAddress } from "../gossiper/host_names.ts";
import { assertNone, FLAG, isPort, optionsOf, rule, TEXT } from "../gossiper/options.ts";
import { assertMayRead } from "../gossiper/permission.ts";
import { deadlineAfter, sleep } from "../gossiper/runtime.ts";
import { keepTrying } from "./failures.ts";
import { byGreeting, type Finding } from "./greeting.ts";
import { askJson, askLines, type AskOptions, HttpRefusal, withoutSecrets } from "./http.ts";

export type { Discovery } from "../gossiper/cluster.ts";

/** Where a pod finds how it may speak to the API, unless told otherwise. */
export const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
/** How many pods are asked for at once. */
const PAGE_SIZE = 100;
/** The most that a page, or one event of a watch, may have, in bytes. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** How long the API may take to begin to answer, in milliseconds. */
const ANSWER_TIMEOUT_MS = 10_000;
/** How long the API is asked to keep a watch open, in seconds; some more pass before it is given up here. */
const WATCH_SECONDS = 300;
const GONE = 410;

/** How {@linkcode kubernetes} finds the members. */
export interface KubernetesOptions {
  /** Which pods, such as `app=orders`. */
  readonly labelSelector: string;
  /** Where members listen in their pods: a number, or the name of a port of one of their containers. */
  readonly port: number | string;
  /** Their namespace; that of this pod by default. */
  readonly namespace?: string;
  /** The API; `https://kubernetes.default.svc` by default. */
  readonly server?: string;
  /** The folder with `token`, `ca.crt` and `namespace`; where Kubernetes mounts it by default. */
  readonly serviceAccount?: string;
  /** Whether members are dialled by `wss`; false by default. */
  readonly secure?: boolean;
}

const OPTIONS = optionsOf<KubernetesOptions>({
  labelSelector: rule((given) => typeof given === "string" && given !== "", {
    problem: "is no label selector",
    allowed: 'one such as "app=orders"',
  }),
  port: rule((given) => isPort(given) || (typeof given === "string" && given !== ""), {
    problem: "is no port",
    allowed: "a whole number from 1 to 65535, or a port's name",
  }),
  namespace: TEXT,
  server: rule(
    (given) =>
      typeof given === "string" && /^https?:\/\//.test(given) && isPlainAddress(given) && URL.canParse(given),
    {
      problem: "is no URL",
      allowed: 'one such as "https://kubernetes.default.svc", without a user, a query and a fragment',
    },
  ),
  serviceAccount: TEXT,
  secure: FLAG,
}, ["labelSelector", "port"]);

/**
 * Greets whoever is in the pods that a label selector names, as long as they run, whether ready or not. Needs
 * `--allow-read` for the service account's folder, `--allow-net` for the API and the pods, and a role that may
 * `list` and `watch` `pods` in the namespace. The token is read anew for every request, since it is replaced
 * from time to time. The members are whoever greeted, or was greeted by, any of them.
 *
 * Where the API cannot be reached, or refuses, `DiscoveryFailed` says so, and the addresses known before stay.
 *
 * @example
 * ```ts
 * import { kubernetes } from "@hearsay/gossip/kubernetes";
 *
 * const discovery = kubernetes({ labelSelector: "app=orders", port: 7001 });
 * console.assert(discovery.byGreeting);
 * ```
 *
 * @throws {ConfigurationError} naming everything in the options that is wrong.
 */
export function kubernetes(options: KubernetesOptions): Discovery {
  assertNone(OPTIONS("kubernetes", options));
  return byGreeting((site, finding) => new Pods(options, { site, finding }).run());
}

/** The API says that it does not remember so far back. */
class Gone extends Error {}

class Pods {
  readonly #options: KubernetesOptions;
  readonly #site: DiscoverySite;
  readonly #finding: Finding;
  /** The address of each pod that runs, by its name. */
  #addresses = new Map<string, string>();

  constructor(
    options: KubernetesOptions,
    { site, finding }: { readonly site: DiscoverySite; readonly finding: Finding },
  ) {
    this.#options = options;
    this.#site = site;
    this.#finding = finding;
  }

  async run(): Promise<void> {
    const { server = "https://kubernetes.default.svc", labelSelector } = this.#options;
    const { signal } = this.#finding;
    const source = `Kubernetes at ${server}, for ${labelSelector}`;
    await keepTrying(({ succeeded }) => this.#follow(succeeded), { site: this.#site, source, signal });
  }

  /** Lists all pods, and then follows what changes, until the API does not remember where that was. */
  async #follow(succeeded: () => void): Promise<void> {
    const { signal } = this.#finding;
    using client = await this.#client();
    try {
      let version = await this.#list(client);
      succeeded();
      for (;;) {
        version = await this.#watch(version, client);
        succeeded();
        await sleep(this.#site.runtime, this.#site.retryDelay(1), { signal });
      }
    } catch (error) {
      if (!(error instanceof Gone || (error instanceof HttpRefusal && error.status === GONE))) throw error;
    }
  }

  /** Takes over all pods that there are; the version of that. */
  async #list(client: Deno.HttpClient | undefined): Promise<string> {
    const addresses = new Map<string, string>();
    let version = "";
    let next: string | undefined;
    do {
      const query = { limit: String(PAGE_SIZE), ...(next && { continue: next }) };
      const page = await askJson(...await this.#request(query, client)) as List | null;
      if (!Array.isArray(page?.items)) throw nonsense("a list of pods");
      for (const pod of page.items) place(addresses, pod, this.#options);
      version = page.metadata?.resourceVersion ?? "";
      next = page.metadata?.continue || undefined;
    } while (next !== undefined);
    this.#addresses = addresses;
    this.#tell();
    return version;
  }

  /** Follows what changes from a version on until the API ends that; the version then. */
  async #watch(from: string, client: Deno.HttpClient | undefined): Promise<string> {
    const { signal } = this.#finding;
    const query = {
      watch: "1",
      allowWatchBookmarks: "true",
      resourceVersion: from,
      timeoutSeconds: String(WATCH_SECONDS),
    };
    const [url, options] = await this.#request(query, client);
    // The other end of a connection may be gone without a word.
    const lastsMs = (WATCH_SECONDS + 30) * 1_000;
    using enough = deadlineAfter(this.#site.runtime, lastsMs, "Watching pods", { signal });
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

  /** Takes over an event; the version that it brings. */
  #take(event: WatchEvent | null): string | undefined {
    const { type, object } = event ?? {};
    if (type === "ERROR") {
      if (object?.code === GONE) throw new Gone();
      const reason = withoutSecrets(String(object?.message ?? "without a word"), []);
      throw new HearsayError("refused", `The API ended the watch: ${reason}`);
    }
    if (typeof object !== "object" || object === null) throw nonsense("an event");
    if (type === "ADDED" || type === "MODIFIED" || type === "DELETED") {
      if (type === "DELETED") this.#addresses.delete(nameOf(object));
      else place(this.#addresses, object, this.#options);
      this.#tell();
    }
    // A bookmark brings a version and nothing else.
    return object.metadata?.resourceVersion;
  }

  #tell(): void {
    this.#finding.found([...new Set(this.#addresses.values())]);
  }

  async #client(): Promise<Deno.HttpClient | undefined> {
    try {
      return Deno.createHttpClient({ caCerts: [await this.#mounted("ca.crt")] });
    } catch (error) {
      // Without an authority of its own, the system's are trusted.
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
      runtime: this.#site.runtime,
      signal: this.#finding.signal,
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

/** What of the API's JSON is looked at; each of it may be missing. */
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

/** Notes where a pod is, or that it is nowhere: it does not run yet, or any more. */
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

function nonsense(what: string): HearsayError {
  return new HearsayError("incompatible", `What the API answers for ${what} is not understood.`);
}
