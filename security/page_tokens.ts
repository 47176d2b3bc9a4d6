/**
 * Tokens that a service makes for its pages, so that no page has a key.
 *
 * @module
 */

import { SignJWT } from "../deps/jose.ts";
import { authorityOf } from "../common/canonical_address.ts";
import { isPlainAddress } from "../common/host_names.ts";
import { realRuntime, type Runtime } from "../common/runtime.ts";
import type { ClusterKey } from "../contracts/authentication.ts";
import type { Access } from "../contracts/page_tokens.ts";
import { CLUSTER_NAME, NAME } from "../options/member_rules.ts";
import { assertNone, optionsOf, rule, RUNTIME } from "../options/rules.ts";
import { keyProblems, strongKeys } from "./key_strength.ts";
import { READER_TYPE, sha256Hex, TOKEN_TYPE } from "./token_check.ts";
import { audienceOf, KID_LENGTH, MAX_TOKEN_LIFETIME_MS, newTokenId } from "./token_claims.ts";

/** The default lifetime, in milliseconds: enough for the request for the token and the dial. */
const LIFETIME_MS = 10_000;

/** Options of {@linkcode tokenFor}. */
export interface PageTokenOptions {
  /** The keys of the cluster. The first signs. */
  readonly keys: readonly ClusterKey[];
  /** The cluster's name. */
  readonly cluster: string;
  /** The id that the page speaks for. Choose it for each page, and never take it from the page. */
  readonly id: string;
  /**
   * The address of the one member that accepts the token, as the page dials it, such as `wss://gossip.example`. Do not
   * take it from the page, unless you compare it with a list.
   */
  readonly address: string;
  /**
   * `read`: the page reads the state of all members, sets nothing, and is no member. `full`: the page is a member like
   * a process with a key, and is trusted as much.
   */
  readonly access: Access;
  /** The lifetime in milliseconds, from 1,000 to 30,000; 10,000 by default. */
  readonly lifetime?: number;
  /** Clock and random numbers; the real ones by default. */
  readonly runtime?: Runtime;
}

const OPTIONS = optionsOf<PageTokenOptions>({
  keys: (field, given) => keyProblems(given, field),
  cluster: CLUSTER_NAME,
  id: NAME,
  address: rule(
    (given) => typeof given === "string" && isPlainAddress(given) && authorityOf(given) !== undefined,
    {
      allowed:
        'the address of a member such as "wss://gossip.example", without credentials, query or fragment',
    },
  ),
  access: rule((given) => given === "read" || given === "full", { allowed: '"read" or "full"' }),
  lifetime: rule(
    (given) => typeof given === "number" && given >= 1_000 && given <= MAX_TOKEN_LIFETIME_MS,
    { allowed: `a number of milliseconds from 1000 to ${MAX_TOKEN_LIFETIME_MS}` },
  ),
  runtime: RUNTIME,
}, ["keys", "cluster", "id", "address", "access"]);

/**
 * Makes a token for one dial of a page. It is valid once, for one member, for seconds. Its connection lasts until either
 * side closes it, or the key is withdrawn.
 *
 * @example A service that lets its visitors read
 * ```ts
 * import { newClusterKey, tokenFor } from "@hearsay/gossip/auth";
 *
 * const keys = [await newClusterKey()];
 * const address = "wss://gossip.example";
 * const id = `page-${crypto.randomUUID()}`;
 * const token = await tokenFor({ keys, cluster: "orders", id, address, access: "read" });
 * console.assert(token.split(".").length === 3);
 * ```
 *
 * @throws {ConfigurationError} naming every fault in the options.
 */
export async function tokenFor(options: PageTokenOptions): Promise<string> {
  assertNone(OPTIONS("tokenFor", options));
  const { keys, cluster, id, address, access, lifetime = LIFETIME_MS, runtime = realRuntime } = options;
  const [bytes] = strongKeys(keys);
  const nowMs = runtime.wallMs();
  const typ = access === "read" ? READER_TYPE : TOKEN_TYPE;
  return await new SignJWT({
    aud: audienceOf(cluster, authorityOf(address)),
    jti: newTokenId(runtime),
    sub: id,
    iat: nowMs / 1_000,
    exp: (nowMs + lifetime) / 1_000,
  }).setProtectedHeader({ alg: "HS256", typ, kid: sha256Hex(bytes!).slice(0, KID_LENGTH) }).sign(bytes!);
}
