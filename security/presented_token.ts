/**
 * Authentication of a page by tokens of a service. The page has no key: it presents a token, and checks no proof. It trusts
 * the member that it dials by the certificate of `wss`.
 *
 * @module
 */

import { CLOSE, ConnectionClosed, HearsayError } from "../common/errors.ts";
import type { Credentials, Guard } from "../contracts/authentication.ts";
import type { Access, TokenSource } from "../contracts/page_tokens.ts";
import { helloText, type Signing, tokenHash } from "../contracts/signing.ts";
import type { Message } from "../protocol/message.ts";

/** The longest token that a member reads. */
const MAX_TOKEN_LENGTH = 2_048;
/** The `typ` of a token by the rights of its holder. A member that does not know readers refuses their tokens. */
const ACCESS: ReadonlyMap<unknown, Access> = new Map([
  ["hearsay-token+jwt", "full"],
  ["hearsay-reader+jwt", "read"],
]);

/** The member that a token is for, and its rights. */
export interface TokenHolding {
  readonly id: string;
  readonly access: Access;
}

/**
 * Reads a token that a service made, without a check of its signature.
 *
 * @throws {HearsayError} with code `unauthorized` if the text is no token of a service. The error does not contain the
 * text.
 */
export function readToken(token: unknown): TokenHolding {
  const isText = typeof token === "string" && token.length <= MAX_TOKEN_LENGTH;
  const [header, payload] = isText && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token) ? token.split(".") : [];
  const access = ACCESS.get(fieldsOf(header)["typ"]);
  const id = fieldsOf(payload)["sub"];
  if (access !== undefined && typeof id === "string" && id !== "") return { id, access };
  throw new HearsayError("unauthorized", "`token` must return a token of `tokenFor`. Nothing was dialed.");
}

/** The credentials of a page's dials. */
export class PresentedToken {
  readonly #source: TokenSource;
  readonly #cluster: string;
  readonly #holding: TokenHolding;
  readonly #signing: Signing | undefined;

  /** Presents the tokens of a source, which must all be for one member with the same rights. */
  constructor(
    source: TokenSource,
    options: {
      readonly cluster: string;
      readonly holding: TokenHolding;
      readonly signing: Signing | undefined;
    },
  ) {
    this.#source = source;
    this.#cluster = options.cluster;
    this.#holding = options.holding;
    this.#signing = options.signing;
  }

  /** Requests a token for a dial. */
  async credentials(
    { address, signal }: { readonly address: string; readonly signal: AbortSignal },
  ): Promise<Credentials> {
    const { id, access } = this.#holding;
    const token = await this.#source({ address, id, signal });
    const given = readToken(token);
    if (given.id !== id || given.access !== access) {
      throw new HearsayError(
        "unauthorized",
        "`token` must return tokens for the same member with the same rights. Nothing was dialed.",
      );
    }
    return { token, guard: this.#guard(token) };
  }

  /** Signs this member's `hello`, and checks the peer's `hello`. The peer must always name the same id. */
  #guard(token: string): Guard {
    let peerId: string | undefined;
    return {
      signal: new AbortController().signal,
      outgoing: (message) => this.#signed(message, token),
      incoming: (message) => {
        if (message.type === "hello") {
          peerId ??= message.member.id;
          if (message.member.id !== peerId) throw unauthorized("The peer claims to be another member.");
          return this.#verified(message, token);
        }
        if (message.type === "gossip" && message.memberId !== peerId) {
          throw unauthorized("The peer gossips as another member.");
        }
        return message;
      },
    };
  }

  #signed(message: Message, token: string): Message | Promise<Message> {
    const signing = this.#signing;
    if (message.type !== "hello" || !signing) return message;
    return this.#text(message, { token, side: "dialer" }).then((text) => signing.sign(text))
      .then((signature) => ({ ...message, signature }));
  }

  #verified(message: Message & { readonly type: "hello" }, token: string): Message | Promise<Message> {
    const signing = this.#signing;
    const { publicKey, signature = "" } = message;
    if (!signing || publicKey === undefined) return message;
    return this.#text(message, { token, side: "acceptor" })
      .then((text) => signing.verify(text, { publicKey, signature }))
      .then((isOwn) => {
        if (isOwn) return message;
        throw unauthorized("The peer must prove that it owns its public key.");
      });
  }

  async #text(
    { member, incarnation }: Message & { readonly type: "hello" },
    { token, side }: { readonly token: string; readonly side: "dialer" | "acceptor" },
  ): Promise<string> {
    const hash = await tokenHash(token);
    return helloText({ cluster: this.#cluster, id: member.id, incarnation, tokenHash: hash, side });
  }
}

function unauthorized(reason: string): ConnectionClosed {
  return new ConnectionClosed(CLOSE.unauthorized, reason);
}

/** The fields of a part of a token; empty if the part cannot be read. */
function fieldsOf(part: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const bytes = Uint8Array.from(
      atob((part ?? "").replaceAll("-", "+").replaceAll("_", "/")),
      (each) => each.charCodeAt(0),
    );
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return Object(value) as Readonly<Record<string, unknown>>;
  } catch {
    return {};
  }
}
