/**
 * Makes sure that each entry was set by its own member, whichever peer relayed it. Verification is asynchronous, so it
 * comes before the engine call. An entry is refused if the state behind the verification has changed meanwhile.
 *
 * @module
 */

import type { KnownVersion, MemberDelta, MemberDeltas, SignedState } from "../engine/types.ts";
import { SIGNING_KEY } from "../engine/types.ts";
import type { EngineHost } from "./engine_host.ts";
import { KeyBindings } from "../security/key_bindings.ts";
import type { Hello } from "../protocol/message.ts";
import type { Verification } from "../protocol/verification.ts";
import { TokenBucket } from "../common/token_bucket.ts";
import { signedText, type Signing } from "../contracts/signing.ts";
import { ReportOnce } from "../common/report_once.ts";

/** The most refusals reported per second: a hostile peer must not crowd out other events. */
const MAX_REPORTS_PER_SECOND = 10;

/** The reason why a member's entries were refused. */
export type SignatureFault = "key" | "signature" | "unsigned";

/** The dependencies of {@linkcode Signatures}. */
export interface SignaturesOptions {
  readonly engineHost: EngineHost;
  readonly signing: Signing;
  /** The cluster's name. */
  readonly cluster: string;
  readonly settings: { readonly gossipMaxSend: number; readonly maxMembers: number };
}

/** Signs this member's state, and verifies the state of others. */
export class Signatures {
  readonly #options: SignaturesOptions;
  readonly #engineHost: EngineHost;
  readonly #bindings: KeyBindings;
  readonly #reported = new ReportOnce();
  readonly #rate: TokenBucket;
  #signing: Promise<void> | undefined;

  constructor(options: SignaturesOptions) {
    const { engineHost, signing, settings } = options;
    this.#options = options;
    this.#engineHost = engineHost;
    this.#rate = new TokenBucket(MAX_REPORTS_PER_SECOND, engineHost.runtime);
    this.#bindings = new KeyBindings({
      max: settings.maxMembers,
      isHeld: (id) => engineHost.view.incarnationOf(id) !== undefined,
    });
    this.#bindings.bind(engineHost.view.id, signing.publicKey, { met: true });
  }

  /** Signs this member's unsigned changes; concurrent calls share one signature. */
  signPending(): Promise<void> {
    return this.#signing ??= this.#signPending().finally(() => this.#signing = undefined);
  }

  /**
   * The fault of a handshake. The transport has already checked that the peer owns the key in it, if there is a key.
   */
  faultOf({ member, publicKey }: Hello): SignatureFault | undefined {
    if (publicKey === undefined) return "unsigned";
    return (this.#bindings.keyOf(member.id) ?? publicKey) === publicKey ? undefined : "key";
  }

  /** Binds the key of a peer that was let in to its id. */
  meet({ member, publicKey }: Hello): void {
    if (publicKey !== undefined) this.#bindings.bind(member.id, publicKey, { met: true });
  }

  /**
   * Verifies those entries of a delta that would be merged, of at most `gossipMaxSend` members. Faults count against a
   * peer only after its handshake.
   */
  async verify(peerId: string | undefined, delta: MemberDeltas): Promise<Verification> {
    const verified = new Map<string, KnownVersion | undefined>();
    const claims: {
      readonly delta: MemberDelta;
      readonly claim: SignedState;
      readonly version: KnownVersion | undefined;
    }[] = [];
    for (const member of delta.members) {
      const claim = this.#engineHost.view.signedStateOf(member);
      if (!claim) continue;
      claims.push({ delta: member, claim, version: this.#engineHost.view.versionOf(member.id) });
      if (claims.length === this.#options.settings.gossipMaxSend) break;
    }
    const faults = await Promise.all(claims.map(({ delta, claim }) => this.#verify(delta, claim)));
    let forged = 0;
    for (const [index, { delta: { id }, version }] of claims.entries()) {
      const fault = faults[index];
      if (fault === undefined) {
        verified.set(id, version);
        if (peerId !== undefined) this.#reported.forget(aboutOf(peerId, id));
        continue;
      }
      if (peerId === undefined) continue;
      // If an id appeared with two keys, members may bind different keys, so an honest peer may relay entries under the
      // other key.
      if (fault !== "key") forged++;
      this.#report(peerId, id, fault);
    }
    return { verified, forged };
  }

  /** Publishes a fault once for each peer, member and reason, until the peer sends valid entries of that member. */
  #report(peerId: string, memberId: string, reason: SignatureFault): void {
    const about = aboutOf(peerId, memberId);
    if (!this.#reported.claim(about, reason, () => this.#rate.take(1))) return;
    this.#engineHost.publish({ type: "SignatureRefused", memberId, peerId, reason });
  }

  /** The members of a delta to refuse: not verified, or verified against a version that has changed since. */
  refusedOf(delta: MemberDeltas, { verified }: Verification): ReadonlySet<string> {
    const { view } = this.#engineHost;
    const refused = new Set<string>();
    for (const member of delta.members) {
      const { id } = member;
      const isCurrent = verified.has(id) && isSameVersion(verified.get(id), view.versionOf(id));
      if (!isCurrent && view.signedStateOf(member)) refused.add(id);
    }
    return refused;
  }

  async #signPending(): Promise<void> {
    const snapshot = this.#engineHost.view.unsignedSnapshot();
    if (!snapshot) return;
    const signature = await this.#options.signing.sign(signedText(this.#options.cluster, snapshot.state));
    this.#engineHost.do((engine) => engine.attachSignature(snapshot, signature));
  }

  async #verify(delta: MemberDelta, claim: SignedState): Promise<SignatureFault | undefined> {
    const announced = claim.entries.find(({ key }) => key === SIGNING_KEY)?.value;
    if (delta.signature === undefined || typeof announced !== "string") return "unsigned";
    if ((this.#bindings.keyOf(claim.id) ?? announced) !== announced) return "key";
    const { signing, cluster } = this.#options;
    const by = { publicKey: announced, signature: delta.signature };
    if (!await signing.verify(signedText(cluster, claim), by)) return "signature";
    // Another key may have been bound during the verification.
    return this.#bindings.bind(claim.id, announced) ? undefined : "key";
  }
}

function aboutOf(peerId: string, memberId: string): string {
  return JSON.stringify([peerId, memberId]);
}

function isSameVersion(one: KnownVersion | undefined, other: KnownVersion | undefined): boolean {
  return one?.incarnation === other?.incarnation && one?.number === other?.number;
}
