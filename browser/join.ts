/**
 * Joins a cluster from a page in a browser: dial-only, with tokens in place of keys.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import { realRuntime, type Runtime } from "../common/runtime.ts";
import { type Cluster, NOWHERE } from "../contracts/cluster.ts";
import { EventStream } from "../contracts/event_stream.ts";
import type { Access, TokenSource } from "../contracts/page_tokens.ts";
import { idOfKey, type Signing } from "../contracts/signing.ts";
import { seedsOnly } from "../discovery/seeds_only.ts";
import { TIMEOUTS_PER_DIAL } from "../gossiper/dials.ts";
import type { ConsensusCallbacks, ConsensusExtractor, ConsensusHandle } from "../gossiper/consensus.ts";
import type { SetStateOptions } from "../gossiper/contract.ts";
import type { FlushResult } from "../gossiper/departure.ts";
import { Gossiper } from "../gossiper/gossiper.ts";
import { configuredWith } from "../gossiper/validation.ts";
import { newId } from "../common/new_id.ts";
import { RepeatableStop } from "../node/repeatable_stop.ts";
import type { GossiperConfig, PartialConfig } from "../options/configuration.ts";
import { CLUSTER_NAME, KINDS, NAME } from "../options/member_rules.ts";
import { brokenBy, FLAG, FUNCTION, type Rules, RUNTIME, SIGNAL, unknownNames } from "../options/rules.ts";
import { PresentedToken, readToken, type TokenHolding } from "../security/presented_token.ts";
import { DialOnlyTransport } from "../transport/web_socket/dial_only.ts";

/** Options of {@linkcode join} in a page. */
export interface BrowserJoinOptions {
  /** The cluster's name. Members of another cluster refuse this one. */
  readonly cluster: string;
  /** The addresses to dial, such as `wss://gossip.example`. The page dials no others. */
  readonly seeds: readonly string[];
  /** Returns a token of the page's service for each dial; needed where members have keys. */
  readonly token?: TokenSource;
  /** True if the members of the cluster sign their state. False by default. */
  readonly sign?: boolean;
  /**
   * This member's id. Default: with `sign` the id of its signing key, else the id in the first token, else a new id. A token
   * for reading names the id itself.
   */
  readonly id?: string;
  /** The kinds of actors that this member hosts; informative. */
  readonly kinds?: readonly string[];
  /** Settings that differ from the defaults. */
  readonly config?: PartialConfig;
  /** Stops the member when aborted, like {@linkcode BrowserNode.stop}. */
  readonly signal?: AbortSignal;
  /** Clock, timers and random numbers; the real ones by default. */
  readonly runtime?: Runtime;
}

/** The seeds have rules of their own, in the discovery. */
const RULES: Rules<Omit<BrowserJoinOptions, "seeds" | "config">> = {
  cluster: CLUSTER_NAME,
  token: FUNCTION,
  sign: FLAG,
  id: NAME,
  kinds: KINDS,
  signal: SIGNAL,
  runtime: RUNTIME,
};

/** A running member in a page. */
export class BrowserNode extends Gossiper {
  /** `read`: this page reads the state of all members, and is in the list of none. Else `full`. */
  readonly access: Access;
  readonly #stops = new RepeatableStop(this, () => super.stop());

  /** Called by {@linkcode join}. */
  constructor(config: GossiperConfig, cluster: Cluster & { readonly access: Access }) {
    const { access, ...rest } = cluster;
    super(config, rest);
    this.access = access;
  }

  /** Sets a key like {@linkcode Gossiper.setState}. Throws with code `read_only` if `access` is `read`. */
  override setState(
    key: string,
    value: unknown,
    options?: Pick<SetStateOptions, "expiresAfter">,
  ): void {
    this.#assertFull();
    super.setState(key, value, options);
  }

  /** Sets a key like {@linkcode Gossiper.setStateRequest}. Rejects with code `read_only` if `access` is `read`. */
  override async setStateRequest(key: string, value: unknown, options?: SetStateOptions): Promise<void> {
    this.#assertFull();
    await super.setStateRequest(key, value, options);
  }

  /** Deletes a key like {@linkcode Gossiper.deleteState}. Throws with code `read_only` if `access` is `read`. */
  override deleteState(key: string): boolean {
    this.#assertFull();
    return super.deleteState(key);
  }

  /**
   * Registers a check like {@linkcode Gossiper.registerConsensusCheck}. Throws with code `read_only` if `access` is
   * `read`: a reader takes no part in consensus.
   */
  override registerConsensusCheck(
    key: string,
    extractor?: ConsensusExtractor,
    callbacks?: ConsensusCallbacks,
  ): ConsensusHandle {
    this.#assertFull();
    return super.registerConsensusCheck(key, extractor, callbacks);
  }

  /** Leaves the cluster like {@linkcode Gossiper.stop}, except that each later call returns the same promise. */
  override stop(): Promise<FlushResult> {
    return this.#stops.stop();
  }

  #assertFull(): void {
    if (this.access === "full") return;
    throw new HearsayError("read_only", "The token of this page is for reading. Nothing was changed.");
  }
}

/**
 * Joins a cluster from a page. Other members cannot dial a page, so it takes part over the connections that it opens.
 * Resolves as soon as the member runs, with `token` after the first token.
 *
 * @throws {ConfigurationError} naming every fault in the options.
 * @throws {HearsayError} with code `unauthorized` if `token` returns something else than a token. An error of `token`
 * itself is thrown as it is.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { join as joinFromPage } from "@hearsay/gossip/browser";
 *
 * await using service = await join({ cluster: "orders", listen: { port: 0 } });
 * await using page = await joinFromPage({ cluster: "orders", seeds: [service.address] });
 * await page.whenMembers(2, { signal: AbortSignal.timeout(10_000) });
 * ```
 */
export async function join(options: BrowserJoinOptions): Promise<BrowserNode> {
  const config = checked(options);
  const { cluster, seeds, token, kinds = [], runtime = realRuntime, signal } = options;
  const discovery = seedsOnly(seeds);
  signal?.throwIfAborted();
  const signing = options.sign ? await newSigning() : undefined;
  const holding = await holdingOf(options, { signing, runtime });
  const eventStream = new EventStream({ capacity: config.eventCapacity });
  const transport = new DialOnlyTransport({
    path: config.gossipActorName,
    maxMessageBytes: config.maxMessageBytes,
    maxMessagesPerSecond: config.maxMessagesPerSecond,
    connectTimeout: TIMEOUTS_PER_DIAL * config.gossipRequestTimeout,
    closeTimeout: config.gossipRequestTimeout / 2,
    secure: true,
    runtime,
    ...(token && { tokens: new PresentedToken(token, { cluster, holding, signing }) }),
  });
  const node = new BrowserNode(config, {
    access: holding.access,
    self: { id: holding.id, ...NOWHERE, kinds },
    name: cluster,
    eventStream,
    transport,
    ownsTransport: true,
    discovery,
    runtime,
    ...(signing && { signing }),
  });
  await node.start(signal ? { signal } : {});
  return node;
}

function checked(options: BrowserJoinOptions): GossiperConfig {
  const known = ["seeds", "config", ...Object.keys(RULES)];
  const before = unknownNames(undefined, options, { known });
  const given: object = Object(options);
  return configuredWith(Object(options).config, {
    before: [...before, ...brokenBy(given, { rules: RULES, required: ["cluster"] })],
  });
}

/** The id and the rights of this page: with tokens they come with the first one. */
async function holdingOf(
  { id: given, seeds, token, signal = new AbortController().signal }: BrowserJoinOptions,
  { signing, runtime }: { readonly signing: Signing | undefined; readonly runtime: Runtime },
): Promise<TokenHolding> {
  const id = given ?? (signing && idOfKey(signing.publicKey));
  if (!token) return { id: id ?? newId(runtime), access: "full" };
  const holding = readToken(await token({ address: seeds[0] ?? "", id, signal }));
  if (id === undefined || holding.id === id || holding.access === "read") return holding;
  throw new HearsayError("unauthorized", "`token` must return a token for the id of this member.");
}

async function newSigning(): Promise<Signing> {
  const { ed25519Signing, newSigningKey } = await import("../security/ed25519.ts");
  return await ed25519Signing(await newSigningKey());
}
