/**
 * The steps of `hearsay doctor` at one address: from the permission of this process to the member's welcome.
 *
 * @module
 */

import { errorText, messageOf } from "../../common/error_text.ts";
import { assertMayConnect } from "../../common/permission.ts";
import { printable } from "../../common/printable.ts";
import { accessFor, type ObserveOptions, Observer, WrongCluster } from "../../observer/client.ts";
import { fingerprintsOf } from "../../security/fingerprint.ts";
import { OLDEST_VERSION, PROTOCOL_VERSION } from "../../protocol/message.ts";
import { VERSION } from "../../common/version.ts";
import { dialUrl, OBSERVE_PROTOCOL, pathOf, SUBPROTOCOL } from "../../transport/web_socket/dial.ts";
import { duration } from "../paint.ts";
import type { Terminal } from "../terminal.ts";
import { type Diagnosis, fail, type Fault, named, note, ok } from "./findings.ts";
import { faultOfAnswer, mayLackObservers } from "./refusals.ts";
import { askForUpgrade, type HttpAnswer, LAYER_TIMEOUT_MS, type Seen } from "./upgrade.ts";

/** The difference of clocks that tokens tolerate by default, in milliseconds. */
const USUAL_TOLERANCE_MS = 5_000;
/** The first byte of TLS records: an alert, and a handshake. */
const TLS_RECORDS: readonly (number | undefined)[] = [0x15, 0x16];

/** Options for the examination of an address. */
export interface AddressOptions {
  readonly terminal: Terminal;
  readonly options: ObserveOptions;
  readonly clockTolerance?: number;
  readonly signal: AbortSignal;
}

/** A diagnosis, with an observer if the member can be observed. The caller must end the observer. */
export interface Examined {
  readonly diagnosis: Diagnosis;
  readonly observer?: Observer;
}

/** Examines an address, step by step. */
export async function examine(address: string, options: AddressOptions): Promise<Examined> {
  const diagnosis: Diagnosis = { subject: address, steps: [] };
  let url: URL;
  try {
    url = dialUrl(address, pathOf(options.options.path ?? "gossip"));
    assertMayConnect(url);
  } catch (error) {
    return { diagnosis: fail(diagnosis, "permission", permissionFault(error)) };
  }
  const seen = await look(url, OBSERVE_PROTOCOL, options);
  if (seen.layer === "tcp") return { diagnosis: fail(diagnosis, ...tcpFault(url, seen)) };
  diagnosis.steps.push(
    ok("name", `${url.hostname} is ${seen.address}.`),
    ok("TCP", `${url.host} accepts connections.`),
  );
  if (seen.layer === "tls") return { diagnosis: fail(diagnosis, "TLS", tlsFault(url, seen.text)) };
  if (seen.layer === "silent") return { diagnosis: fail(diagnosis, "path", silentFault(url)) };
  if (seen.layer === "http") return { diagnosis: fail(diagnosis, ...httpFault(url, seen.bytes)) };
  if (url.protocol === "wss:") diagnosis.steps.push(ok("TLS", "The certificate is trusted."));
  return await examineAnswer(url, { seen: seen.answer, diagnosis, options });
}

async function look(
  url: URL,
  subprotocol: string,
  { terminal, options, signal }: AddressOptions,
): Promise<Seen> {
  const { token } = await accessFor(url, options);
  const { runtime } = terminal;
  return await askForUpgrade(url, { subprotocol, token, caCerts: options.caCerts, runtime, signal });
}

async function examineAnswer(
  url: URL,
  { seen, diagnosis, options }: {
    readonly seen: HttpAnswer;
    readonly diagnosis: Diagnosis;
    readonly options: AddressOptions;
  },
): Promise<Examined> {
  const { terminal: { runtime }, options: { cluster, keys, token } } = options;
  if (seen.status === 101) return await examineMember(url, { diagnosis, options });
  const asker = {
    url,
    cluster,
    hasKeys: (keys?.length ?? 0) > 0 || token !== undefined,
    ...(keys && { fingerprint: fingerprintsOf(keys)[0]! }),
    nowMs: runtime.wallMs(),
  };
  let answer = seen;
  if (mayLackObservers(seen, OBSERVE_PROTOCOL)) {
    const asPeer = await look(url, SUBPROTOCOL, options);
    if (asPeer.layer === "answer" && asPeer.answer.status === 101) {
      const fault: Fault = {
        code: "observers",
        seen:
          `A member at ${url.href} accepts peers of this version, and no observers, so that it cannot be asked.`,
        todo:
          "Its `observers` is false, or it is older than this command; look at its log, or at another member.",
      };
      return { diagnosis: fail(diagnosis, "path", fault) };
    }
    if (asPeer.layer === "answer") answer = asPeer.answer;
  }
  const fault = faultOfAnswer(answer, asker);
  if (!["path", "port", "proxy"].includes(fault.code)) {
    diagnosis.steps.push(ok("path", `A member answers at ${url.pathname}.`));
  }
  return { diagnosis: fail(diagnosis, STEP_OF[fault.code] ?? "path", fault) };
}

/** The step that finds each fault. */
const STEP_OF: { readonly [code in Fault["code"]]?: string } = {
  address: "key",
  clock: "clock",
  cluster: "cluster",
  full: "limits",
  key: "key",
  observers: "limits",
  refused: "access",
  version: "version",
};

async function examineMember(
  url: URL,
  { diagnosis, options }: { readonly diagnosis: Diagnosis; readonly options: AddressOptions },
): Promise<Examined> {
  const { options: given, terminal: { runtime }, signal } = options;
  const { cluster, ...rest } = given;
  const { steps } = diagnosis;
  steps.push(ok("path", `A member answers at ${url.pathname}.`));
  let observer: Observer;
  const beganMs = runtime.monotonicMs();
  try {
    // The cluster is compared below, after the member has accepted a token with the cluster's name.
    const named = given.keys === undefined ? rest : given;
    observer = await Observer.connect(url.href, { ...named, signal });
  } catch (error) {
    signal.throwIfAborted();
    return { diagnosis: fail(diagnosis, ...welcomeFault(url, error)) };
  }
  const tripMs = (runtime.monotonicMs() - beganMs) / 2;
  const { welcome } = observer;
  steps.push(keyStep(given));
  if (cluster !== undefined && welcome.cluster !== cluster) {
    await observer[Symbol.asyncDispose]();
    return { diagnosis: fail(diagnosis, "cluster", clusterFault(url, cluster, welcome.cluster)) };
  }
  steps.push(ok("cluster", `It is ${named(welcome.self)} of the cluster ${named(welcome.cluster)}.`));
  const { latest, oldest } = welcome.protocol;
  if (oldest > PROTOCOL_VERSION || latest < OLDEST_VERSION) {
    await observer[Symbol.asyncDispose]();
    return { diagnosis: fail(diagnosis, "version", versionFault(welcome)) };
  }
  const isSame = welcome.version === VERSION;
  const versions = `It has Hearsay ${
    printable(welcome.version, 40)
  }, this command ${VERSION}; both speak protocol ${latest}.`;
  steps.push(isSame ? ok("version", versions) : note("version", versions));
  judgeClock(diagnosis, welcome.wallMs + tripMs - runtime.wallMs(), options);
  return { diagnosis, observer };
}

function keyStep({ keys, token }: ObserveOptions) {
  if (keys) return ok("key", `Both sides have the key ${fingerprintsOf(keys)[0]}.`);
  return token === undefined
    ? ok("key", "The member asks for no key.")
    : ok("key", "The member accepts the token; it gave no proof of its own.");
}

/** Without keys members do not compare clocks, so a difference is only a note. */
function judgeClock(
  diagnosis: Diagnosis,
  aheadMs: number,
  { options, clockTolerance }: AddressOptions,
): void {
  const tolerance = clockTolerance ?? USUAL_TOLERANCE_MS;
  const apart = `The member's clock is ${duration(Math.abs(aheadMs))} ${aheadMs < 0 ? "behind" : "ahead"}.`;
  if (Math.abs(aheadMs) <= tolerance) return void diagnosis.steps.push(ok("clock", apart));
  const todo = "Synchronize both clocks (NTP).";
  if (!options.keys) return void diagnosis.steps.push(note("clock", apart, todo));
  fail(diagnosis, "clock", { code: "clock", seen: `${apart} Tokens bear ${duration(tolerance)}.`, todo });
}

/** The fault of a missing permission, or of an invalid address. */
function permissionFault(error: unknown): Fault {
  if (!(error instanceof Deno.errors.NotCapable)) {
    return { code: "name", seen: messageOf(error), todo: "Correct the address." };
  }
  const flag = /--allow-\S+/.exec(error.message)?.[0] ?? "--allow-net";
  return {
    code: "permission",
    seen: `This process may not connect there: the permission ${flag} is missing.`,
    todo: `Start it with ${flag}.`,
  };
}

function tcpFault(url: URL, { error, text }: Seen & { readonly layer: "tcp" }): readonly [string, Fault] {
  if (error instanceof Deno.errors.NotCapable) return ["permission", permissionFault(error)];
  if (/lookup address|no address|Name or service|resolve/i.test(text)) {
    return ["name", {
      code: "name",
      seen: `The name ${url.hostname} has no address: ${printable(text, 200)}.`,
      todo: "Check the spelling, /etc/hosts and the name server (`getent hosts <name>`).",
    }];
  }
  if (error instanceof Deno.errors.ConnectionRefused) {
    return ["TCP", {
      code: "notListening",
      seen: `No process listens at ${url.host}: the machine refuses the connection.`,
      todo:
        "Start the member, check its port and `listen.hostname` (127.0.0.1 is reached from its own machine only).",
    }];
  }
  return ["TCP", {
    code: "unreachable",
    seen: `${url.host} does not answer: ${printable(text, 200)}.`,
    todo: "Check the address, the route and the firewalls between the machines.",
  }];
}

function tlsFault(url: URL, text: string): Fault {
  const why = printable(text, 200);
  if (/corrupt message|InvalidContentType|unexpected eof|close_notify/i.test(text)) {
    return {
      code: "tls",
      seen: `${url.host} does not speak TLS (${why}).`,
      todo: "Dial ws:// in place of wss://.",
    };
  }
  if (/UnknownIssuer/i.test(text)) {
    return {
      code: "tls",
      seen: `The authority of the certificate of ${url.host} is not trusted (${why}).`,
      todo:
        "Name the authority's certificate: --ca <file>, `tls.caCerts` of a member, or `caFile` in its YAML.",
    };
  }
  if (/NotValidForName|not valid for name/i.test(text)) {
    return {
      code: "tls",
      seen: `The certificate of ${url.host} is for another name (${why}).`,
      todo: `Dial a name that it has, or make a certificate for ${url.hostname}.`,
    };
  }
  return {
    code: "tls",
    seen: `TLS with ${url.host} failed: ${why}.`,
    todo: "Check the certificate and its times.",
  };
}

function silentFault(url: URL): Fault {
  return {
    code: "unreachable",
    seen: `${url.host} accepts the connection, and sends nothing for ${
      duration(LAYER_TIMEOUT_MS)
    }: its process hangs or stands still.`,
    todo: "Look whether its event loop is blocked, or whether it was stopped (SIGSTOP); then restart it.",
  };
}

function httpFault(url: URL, bytes: Uint8Array): readonly [string, Fault] {
  if (TLS_RECORDS.includes(bytes[0])) {
    return ["TLS", { code: "tls", seen: `${url.host} speaks TLS.`, todo: "Dial wss:// in place of ws://." }];
  }
  const said = bytes.length === 0 ? "nothing" : named(new TextDecoder("latin1").decode(bytes.slice(0, 40)));
  return ["path", {
    code: "port",
    seen: `${url.host} is no member: it answered ${said} to a request of HTTP.`,
    todo: "Check the port; another service has this one.",
  }];
}

function welcomeFault(url: URL, error: unknown): readonly [string, Fault] {
  const text = messageOf(error);
  if (error instanceof WrongCluster) {
    return ["cluster", { code: "cluster", seen: text, todo: "Correct the cluster's name." }];
  }
  if (/has no keys|proof/.test(text)) {
    return ["key", {
      code: "key",
      seen: `The member at ${url.host} did not prove that it has the key: ${text}`,
      todo: "Give both sides a common key; or another server answers in the member's place.",
    }];
  }
  return ["version", {
    code: "version",
    seen: `${url.host} did not answer as a member of this version: ${printable(errorText(error), 200)}`,
    todo: "Compare the versions of both sides.",
  }];
}

function clusterFault(url: URL, own: string, theirs: string): Fault {
  return {
    code: "cluster",
    seen: `The member at ${url.host} is of the cluster ${named(theirs)}, and this side names ${named(own)}.`,
    todo: "Correct the cluster's name, or the address.",
  };
}

function versionFault({ version, protocol: { latest, oldest } }: Observer["welcome"]): Fault {
  return {
    code: "version",
    seen: `The member has Hearsay ${
      printable(version, 40)
    } with the protocols ${oldest} to ${latest}; this side has ${VERSION} with ${OLDEST_VERSION} to ${PROTOCOL_VERSION}.`,
    todo: "Bring both members to the same version of Hearsay.",
  };
}
