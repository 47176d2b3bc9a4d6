/**
 * The faults behind a refusal, by its status and its sentence.
 *
 * @module
 */

import { printable } from "../../common/printable.ts";
import { OBSERVE_PROTOCOL, SUBPROTOCOL } from "../../transport/web_socket/dial.ts";
import { type Fault, named } from "./findings.ts";
import type { HttpAnswer } from "./upgrade.ts";

/** The longest sentence of a server that is shown. */
const MAX_SHOWN = 300;

/** The doctor's own address, cluster and keys. */
export interface Asker {
  readonly url: URL;
  readonly cluster: string | undefined;
  readonly hasKeys: boolean;
  /** The fingerprint of the key that signs the doctor's tokens. */
  readonly fingerprint?: string;
  readonly nowMs: number;
}

/** The fault of a status other than 101. */
export function faultOfAnswer(answer: HttpAnswer, asker: Asker): Fault {
  switch (answer.status) {
    case 401:
      return unauthorized(answer, asker);
    case 403:
      return forbidden(answer, asker);
    case 404:
      return notFound(answer, asker);
    case 426:
      return upgradeRequired(answer, asker);
    case 502:
    case 504:
      return {
        code: "proxy",
        seen: `${asker.url.href} is a proxy that reaches no member (${answer.status}${serverIn(answer)}).`,
        todo: "Check that the member behind it runs, and that the proxy has its address.",
      };
    case 503:
      return unavailable(answer, asker);
    default:
      return {
        code: "port",
        seen: `${asker.url.host} is another HTTP server: it answered ${answer.status}${
          serverIn(answer)
        } to the upgrade.`,
        todo: "Check the port: a member answers an upgrade with 101.",
      };
  }
}

function unauthorized(answer: HttpAnswer, asker: Asker): Fault {
  const { body } = answer;
  if (/has no token/.test(body) || !asker.hasKeys) {
    return {
      code: "key",
      seen: "The member asks for a key, and this side has none (401).",
      todo: "Give the keys of the cluster: --keys-file <file>, or HEARSAY_KEYS, with --cluster <name>.",
    };
  }
  if (/signed with a key of this cluster/.test(body)) {
    return {
      code: "key",
      seen: `The member has other keys: it does not know the key of this side, ${asker.fingerprint} (401).`,
      todo:
        "Compare the keys of both sides: `hearsay keygen --fingerprints`; while keys are rotated, each side needs a key of the other.",
    };
  }
  if (/expired|future|before this member began/.test(body)) return clock(answer, asker);
  const audience = /^The token is for (".*?")/.exec(body)?.[1];
  if (audience !== undefined) return wrongAudience(body, asker);
  return refused(answer, "Look at `ClientRefused` in the log of the member.");
}

function clock(answer: HttpAnswer, { nowMs }: Asker): Fault {
  const theirs = Date.parse(answer.headers.get("date") ?? "");
  const apart = Number.isNaN(theirs)
    ? ""
    : ` Its clock is about ${Math.abs(Math.round((theirs - nowMs) / 1_000))} s ${
      theirs > nowMs ? "ahead" : "behind"
    }.`;
  return {
    code: "clock",
    seen: `The member refuses the time of a fresh token (401): ${quoted(answer.body)}${apart}`,
    todo:
      "Synchronize both clocks (NTP), or raise `clockTolerance`. A member that has just started takes no older token.",
  };
}

/** The fault if the token names another cluster or address than the member has. The member's answer names its own. */
function wrongAudience(body: string, { cluster, url }: Asker): Fault {
  const here = /and this member is (.*)\.$/.exec(body)?.[1] ?? "";
  const clusters = new Set([...here.matchAll(/hearsay:([^@ ]*)@/g)].map(([, name]) => decoded(name!)));
  if (clusters.size > 0 && !clusters.has(cluster ?? "")) {
    return {
      code: "cluster",
      seen: `The member at ${url.host} is of the cluster ${named([...clusters][0]!)}, and this side names ${
        named(cluster ?? "")
      } (401).`,
      todo: "Correct the cluster's name, or the address.",
    };
  }
  return {
    code: "address",
    seen: `The member does not know that it is reached at ${url.host} (401): ${quoted(body)}`,
    todo:
      `Add ${url.protocol}//${url.host} to \`authentication.aliases\` of the member, or dial the address that it advertises.`,
  };
}

function forbidden(answer: HttpAnswer, asker: Asker): Fault {
  const { body } = answer;
  if (/and this member has none/.test(body)) {
    return {
      code: "key",
      seen: "This side has keys, and the member has none (403).",
      todo: "Give the member `authentication` with a common key, or look without keys.",
    };
  }
  if (/Without keys/.test(body)) {
    return {
      code: "refused",
      seen: `The member at ${asker.url.host} has no keys, and so accepts its own machine only (403): ${
        quoted(body)
      }`,
      todo: "Give all members `authentication: { keys }`; or set `insecure` in a trusted network.",
    };
  }
  return refused(answer, "Look at `ClientRefused` in the log of the member, and at its `allowedOrigins`.");
}

function notFound(answer: HttpAnswer, { url }: Asker): Fault {
  const proxy = answer.headers.get("via") ?? answer.headers.get("server");
  if (proxy !== undefined) {
    return {
      code: "proxy",
      seen: `A proxy or server (${
        quoted(proxy)
      }) answers 404 at ${url.pathname}: no member is behind that path.`,
      todo:
        `Route ${url.pathname} to the member with its Upgrade headers, or dial the path that the proxy has.`,
    };
  }
  return {
    code: "path",
    seen: `An HTTP server answers at ${url.host}, but no member at the path ${url.pathname} (404).`,
    todo:
      "Check `gossipActorName` on both sides (--path <name>), the path in the address, and that `node.handler` is mounted.",
  };
}

function upgradeRequired(answer: HttpAnswer, { url }: Asker): Fault {
  const theirs = /subprotocol (hearsay\.\S+?)\.?$/m.exec(answer.body)?.[1];
  if (theirs === SUBPROTOCOL) {
    return {
      code: "proxy",
      seen: `The member at ${url.host} did not get the headers of the upgrade (426): a proxy drops them.`,
      todo: "Let the proxy pass on `Upgrade`, `Connection` and `Sec-WebSocket-Protocol`.",
    };
  }
  return {
    code: "version",
    seen: `${url.host} speaks ${
      theirs === undefined ? "no protocol of this version" : quoted(theirs)
    } (426); this side speaks ${SUBPROTOCOL}.`,
    todo: "Bring both members to the same version of Hearsay.",
  };
}

function unavailable(answer: HttpAnswer, { url }: Asker): Fault {
  const { body } = answer;
  if (/stopped|has not started/.test(body)) {
    return {
      code: "stopped",
      seen: `The member at ${url.host} stops, or has not started yet (503).`,
      todo: "Try again.",
    };
  }
  if (/observers may be connected/.test(body)) {
    return {
      code: "observers",
      seen: `The member at ${url.host} takes no further observer (503): ${quoted(body)}`,
      todo:
        "End a command that still runs there (`top`, `events`, `watch`, `members --watch`), or ask another " +
        "member. The limit is fixed.",
    };
  }
  return {
    code: "full",
    seen: `The member at ${url.host} accepts no connection now (503): ${quoted(body)}`,
    todo: "Close connections. If the sentence names a limit, raise it.",
  };
}

function refused(answer: HttpAnswer, todo: string): Fault {
  return { code: "refused", seen: `The member refused (${answer.status}): ${quoted(answer.body)}`, todo };
}

/** True if an answer may come from a member that accepts peers, but no observers. */
export function mayLackObservers({ status }: HttpAnswer, subprotocol: string): boolean {
  return status === 426 && subprotocol === OBSERVE_PROTOCOL;
}

function serverIn({ headers }: HttpAnswer): string {
  const server = headers.get("server");
  return server === undefined ? "" : `, ${quoted(server)}`;
}

function quoted(text: string): string {
  return printable(text === "" ? "no reason given" : text, MAX_SHOWN);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
