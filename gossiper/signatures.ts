/**
 * Seeing to it that what is held of members was set by them, whoever told it. Verifying takes its time, so it is
 * done before the engine is called, and what changed meanwhile is not taken.
 *
 * @module
 */

import type { KnownVersion, MemberDelta, PartialDelta, SignedState } from "../engine/types.ts";
import { SIGNING_KEY } from "../engine/types.ts";
import type { EngineHost } from "./engine_host.ts";
import { KeyBindings } from "../security/key_bindings.ts";
import type { Hello } from "../protocol/message.ts";
import type { Examined } from "../protocol/examined.ts";
import { TokenBucket } from "../common/token_bucket.ts";
import { signedText, type Signing } from "../contracts/signing.ts";
import { ReportOnce } from "../common/report_once.ts";

/** How many refusals are told in a second: a peer that lies must not crowd out other news. */
const MAX_TOLD_PER_SECOND = 10;

/** Why something that was told of a member was not taken. */
export type SignatureFault = "key" | "signature" | "unsigned";

/** What {@linkcode Signatures} needs. */
export interface SignaturesOptions {
  readonly engineHost: EngineHost;
  readonly signing: Signing;
  /** The cluster's name. */
  readonly cluster: string;
  readonly settings: { readonly gossipMaxSend: number; readonly maxMembers: number };
}

/** Signs for this member, and verifies the others. */
export class Signatures {
  readonly #options: SignaturesOptions;
  readonly #engineHost: EngineHost;
  readonly #bindings: KeyBindings;
  readonly #told = new ReportOnce();
  readonly #rate: TokenBucket;
  #sealing: Promise<void> | undefined;

  constructor(options: SignaturesOptions) {
    const { engineHost, signing, settings } = options;
    this.#options = options;
    this.#engineHost = engineHost;
    this.#rate = new TokenBucket(MAX_TOLD_PER_SECOND, engineHost.runtime);
    this.#bindings = new KeyBindings({
      max: settings.maxMembers,
      isHeld: (id) => engineHost.view.incarnationOf(id) !== undefined,
    });
    this.#bindings.bind(engineHost.view.id, signing.publicKey, { met: true });
  }

  /** Signs what this member has set since it last signed; whoever asks meanwhile waits for the same. */
  signPending(): Promise<void> {
    return this.#sealing ??= this.#signPending().finally(() => this.#sealing = undefined);
  }

  /** Why a greeting is not believed; its key, where it has one, was proved to be the greeter's own. */
  faultOf({ member, publicKey }: Hello): SignatureFault | undefined {
    if (publicKey === undefined) return "unsigned";
    return (this.#bindings.keyOf(member.id) ?? publicKey) === publicKey ? undefined : "key";
  }

  /** Binds the key of a greeter that was let in to its id. */
  meet({ member, publicKey }: Hello): void {
    if (publicKey !== undefined) this.#bindings.bind(member.id, publicKey, { met: true });
  }

  /**
   * Verifies whatever of a delta would be taken. At most `gossipMaxSend` members are looked at. What a peer tells that has
   * not greeted is nobody's fault.
   */
  async examine(peerId: string | undefined, delta: PartialDelta): Promise<Examined> {
    const verified = new Map<string, KnownVersion | undefined>();
    const claims: {
      readonly told: MemberDelta;
      readonly claim: SignedState;
      readonly held: KnownVersion | undefined;
    }[] = [];
    for (const told of delta.members) {
      const claim = this.#engineHost.view.signedStateOf(told);
      if (!claim) continue;
      claims.push({ told, claim, held: this.#engineHost.view.versionOf(told.id) });
      if (claims.length === this.#options.settings.gossipMaxSend) break;
    }
    const faults = await Promise.all(claims.map(({ told, claim }) => this.#verify(told, claim)));
    let forged = 0;
    for (const [index, { told, held }] of claims.entries()) {
      const fault = faults[index];
      if (fault === undefined) {
        verified.set(told.id, held);
        if (peerId !== undefined) this.#told.forget(aboutOf(peerId, told.id));
        continue;
      }
      if (peerId === undefined) continue;
      // An id that was shown with two keys is bound to one here and to the other elsewhere: a relay may be honest.
      if (fault !== "key") forged++;
      this.#tell(peerId, told.id, fault);
    }
    return { verified, forged };
  }

  /** Once for each peer, member and fault, until it tells something of that member that is signed. */
  #tell(peerId: string, memberId: string, reason: SignatureFault): void {
    const about = aboutOf(peerId, memberId);
    if (!this.#told.shouldReport(about, reason) || !this.#rate.take(1)) return;
    this.#told.add(about, reason);
    this.#engineHost.publish({ type: "SignatureRefused", memberId, peerId, reason });
  }

  /** The members of a delta of which nothing may be taken: not verified, or not for what is held by now. */
  refusedOf(delta: PartialDelta, { verified }: Examined): ReadonlySet<string> {
    const { view } = this.#engineHost;
    const refused = new Set<string>();
    for (const told of delta.members) {
      const isCurrent = verified.has(told.id) && isSameHold(verified.get(told.id), view.versionOf(told.id));
      if (!isCurrent && view.signedStateOf(told)) refused.add(told.id);
    }
    return refused;
  }

  async #signPending(): Promise<void> {
    const draft = this.#engineHost.view.unsignedSnapshot();
    if (!draft) return;
    const proof = await this.#options.signing.sign(signedText(this.#options.cluster, draft.state));
    this.#engineHost.do((engine) => engine.attachSignature(draft, proof));
  }

  async #verify(told: MemberDelta, claim: SignedState): Promise<SignatureFault | undefined> {
    const announced = claim.entries.find(({ key }) => key === SIGNING_KEY)?.value;
    if (told.signature === undefined || typeof announced !== "string") return "unsigned";
    if ((this.#bindings.keyOf(claim.id) ?? announced) !== announced) return "key";
    const { signing, cluster } = this.#options;
    const by = { publicKey: announced, signature: told.signature };
    if (!await signing.verify(signedText(cluster, claim), by)) return "signature";
    // Another key may have been bound while this one was looked at.
    return this.#bindings.bind(claim.id, announced) ? undefined : "key";
  }
}

function aboutOf(peerId: string, memberId: string): string {
  return JSON.stringify([peerId, memberId]);
}

function isSameHold(one: KnownVersion | undefined, other: KnownVersion | undefined): boolean {
  return one?.incarnation === other?.incarnation && one?.number === other?.number;
}
