/**
 * Errors of a connection in the words of the command line. The transport explains them to a member, which has options in
 * code in place of flags.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import type { ObserveOptions } from "../observer/client.ts";

/** The access that a command has. */
type Access = Pick<ObserveOptions, "keys" | "token">;

const DOCTOR = "`hearsay doctor` looks for the fault.";

/** The error of a failed connection, for the user of the command. Other errors stay as they are. */
export function inWordsOfCommand(error: unknown, access: Access): unknown {
  if (!(error instanceof HearsayError)) return error;
  const text = reworded(error, access);
  return text === error.message ? error : new HearsayError(error.code, text, { cause: error });
}

function reworded({ code, message }: HearsayError, access: Access): string {
  // Every message of a failed dial begins with the address.
  const [address = ""] = message.split(" ");
  if (code === "unauthorized" && message.includes("(401)")) return `${address} ${whyUnauthorized(access)}`;
  if (code === "refused" && message.includes("(403)")) return `${address} ${whyForbidden(access)}`;
  const [head, isWithoutMember] = message.split(" Check that `node.handler` is mounted there");
  if (isWithoutMember !== undefined) {
    return `${head} Check the port and the path; --path <name> is the member's \`gossipActorName\`.`;
  }
  return message.replace(
    "`tls.caCerts` must have its authority.",
    "--ca must name a file with its authority.",
  );
}

function whyUnauthorized({ keys, token }: Access): string {
  if (keys) {
    return "refused the key (401): the keys, the cluster (--cluster) or the clocks of both sides differ, or the member " +
      `does not know this address as its own (\`aliases\`). ${DOCTOR}`;
  }
  if (token !== undefined) {
    return "refused the token (401): it is no token, was used before, is too old, or is for another address, cluster " +
      "or key. Get a new one for this address, and use it once: `hearsay token` makes it.";
  }
  return "asks for a key (401): give --keys-file <file> (or HEARSAY_KEYS) with --cluster <name>, or a token with --token " +
    "<text>.";
}

function whyForbidden({ keys, token }: Access): string {
  return keys || token !== undefined
    ? "refused this command (403): it may have no keys, and the command gives some. Try it without --keys-file, " +
      `--token, HEARSAY_KEYS and HEARSAY_TOKEN. ${DOCTOR}`
    : "refused this command (403): without keys a member accepts only its own machine. Run the command there, or give " +
      `the member keys. ${DOCTOR}`;
}
