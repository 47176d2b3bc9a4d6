/**
 * Certificates for tests: a private authority that signs them.
 *
 * @module
 */

import {
  BasicConstraintsExtension,
  type JsonGeneralName,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "../../deps/x509.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;

/** Options of a certificate. */
export interface CertificateOptions {
  /** The names it is for; 127.0.0.1 by default. */
  readonly names?: readonly JsonGeneralName[];
  /** Start of its validity in milliseconds from now; yesterday by default. */
  readonly fromMs?: number;
  /** End of its validity in milliseconds from now; tomorrow by default. */
  readonly untilMs?: number;
}

/** A certificate and its private key, as PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority that no system trusts. */
export class Authority {
  /** The authority's certificate, as PEM. */
  readonly cert: string;
  readonly #keys: CryptoKeyPair;
  readonly #name: string;
  #serial = 1;

  private constructor(name: string, keys: CryptoKeyPair, cert: string) {
    this.#name = name;
    this.#keys = keys;
    this.cert = cert;
  }

  static async make(name: string = "CN=An authority of the tests"): Promise<Authority> {
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber: "01",
      name,
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + DAY_MS),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [new BasicConstraintsExtension(true, undefined, true)],
    });
    return new Authority(name, keys, certificate.toString("pem"));
  }

  /** Signs a certificate for a server. */
  async sign(options: CertificateOptions = {}): Promise<Certificate> {
    const { names = [{ type: "ip", value: "127.0.0.1" }], fromMs = -DAY_MS, untilMs = DAY_MS } = options;
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.create({
      serialNumber: (++this.#serial).toString(16).padStart(2, "0"),
      subject: "CN=a member",
      issuer: this.#name,
      notBefore: new Date(Date.now() + fromMs),
      notAfter: new Date(Date.now() + untilMs),
      signingAlgorithm: ALGORITHM,
      signingKey: this.#keys.privateKey,
      publicKey: keys.publicKey,
      extensions: [new SubjectAlternativeNameExtension([...names])],
    });
    const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
    return { cert: certificate.toString("pem"), key: PemConverter.encode(pkcs8, "PRIVATE KEY") };
  }
}

async function newKeys(): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]) as CryptoKeyPair;
}
