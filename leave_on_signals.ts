/**
 * A member that leaves in good order when its process is told to end.
 *
 * @module
 */

import type { GossiperClosed } from "./gossiper/contract.ts";
import type { FlushResult } from "./gossiper/departure.ts";
import { warn } from "./gossiper/log.ts";
import { assertNone, FUNCTION, listOf, optionsOf, rule } from "./gossiper/options.ts";
import { abortable, deadlineAfter, realRuntime } from "./gossiper/runtime.ts";

/**
 * How long {@linkcode leaveOnSignals} takes at most, in milliseconds. Platforms kill: some 5 s after they have
 * asked, others (`docker stop`) after 10, Kubernetes after 30.
 */
export const SHUTDOWN_TIMEOUT = 4_000;

/**
 * A signal that comes so soon after the first, in milliseconds, is the same one: what a terminal sends to all of its
 * processes at Ctrl-C, `deno task` among them hands on once more.
 */
const ECHO_MS = 250;

/** The longest time that a timer can be set to. */
const LONGEST_MS = 2 ** 31 - 1;

/** The signals by which a process is asked to end, with the numbers that a shell adds to 128 to say so. */
const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15, SIGBREAK: 21 } as const;

/** A signal by which a process is asked to end. */
export type EndingSignal = "SIGHUP" | "SIGINT" | "SIGQUIT" | "SIGTERM" | "SIGBREAK";

/** What can leave: a node of {@linkcode join} is one. */
export interface Leaving extends AsyncDisposable {
  /** Its `closed` tells when the member is over. */
  readonly gossiper: { readonly closed: Promise<GossiperClosed> };
}

/** How {@linkcode leaveOnSignals} leaves. */
export interface LeaveOnSignalsOptions {
  /** The signals that end the process; SIGTERM and SIGINT by default (on Windows SIGINT and SIGBREAK). */
  readonly signals?: readonly EndingSignal[];
  /** How long all of it may take, in milliseconds, before the process ends anyhow; 4,000 by default. */
  readonly shutdownTimeout?: number;
  /**
   * What comes first, while the member still takes part: to become unready, and to finish the requests under way.
   * It has half of `shutdownTimeout`; then its signal is aborted, and the member leaves whether this is done or
   * not.
   */
  readonly beforeLeaving?: (options: { readonly signal: AbortSignal }) => Promise<void> | void;
  /**
   * What comes last, when the member has left: to shut the server down. `flush` says who was told of the
   * departure; it is missing where the member had failed.
   */
  readonly afterLeaving?: (options: { readonly flush?: FlushResult }) => Promise<void> | void;
}

const OPTIONS = optionsOf<LeaveOnSignalsOptions>({
  signals: listOf(
    rule((given) => typeof given === "string" && Object.hasOwn(NUMBERS, given), {
      problem: "is no signal to leave on",
      allowed: `one of ${Object.keys(NUMBERS).join(", ")}`,
    }),
    "a list of names of signals",
  ),
  shutdownTimeout: rule((given) => typeof given === "number" && given > 0 && given <= LONGEST_MS, {
    problem: "is no duration",
    allowed: `a number of milliseconds from 1 to ${LONGEST_MS}`,
  }),
  beforeLeaving: FUNCTION,
  afterLeaving: FUNCTION,
});

/**
 * Lets a node leave when its process is told to end, and ends the process: at the first signal `beforeLeaving` is
 * called, the member leaves and tells others so, `afterLeaving` is called, and the process exits with 0. After
 * `shutdownTimeout` it exits with 1, whatever is still under way, and says so in the log. A second signal ends
 * it at once, with 128 and the signal's number, as a shell says it (one within a quarter of a second counts as the
 * first: `deno task` hands on what a terminal has sent to all).
 *
 * Where one of the callbacks throws the rest is done all the same; the error is then thrown where nobody catches it,
 * which Deno prints, and ends the process with 1.
 *
 * When the node is over by other means the signals are let go, and do again what they do without this. So they are
 * when the result is disposed of, unless it is leaving by then. One node of a process may have this: the first to
 * have left ends all. A program that blocks its event loop hears no signal.
 *
 * @example
 * ```ts
 * import { join, leaveOnSignals } from "@hearsay/gossip";
 *
 * await using node = await join({ cluster: "orders", listen: { port: 0 } });
 * leaveOnSignals(node, {
 *   beforeLeaving: () => console.log("Leaving …"),
 *   afterLeaving: ({ flush }) => console.log(`${flush?.acknowledgedBy} others know.`),
 * });
 * ```
 *
 * @throws {ConfigurationError} naming everything in the options that is wrong.
 * @throws {TypeError} where the platform knows no such signal. Nothing is listened for then.
 */
export function leaveOnSignals(node: Leaving, options: LeaveOnSignalsOptions = {}): Disposable {
  assertNone(OPTIONS("leaveOnSignals", options));
  const { signals = usualSignals(), shutdownTimeout = SHUTDOWN_TIMEOUT } = options;
  let leavingSinceMs: number | undefined;
  const listeners: (readonly [EndingSignal, () => void])[] = [];
  const letGo = () => {
    // While it leaves, a second signal still has to end the process.
    if (leavingSinceMs !== undefined) return;
    for (const [signal, listener] of listeners.splice(0)) Deno.removeSignalListener(signal, listener);
  };
  const listen = (signal: EndingSignal) => {
    const listener = () => {
      const nowMs = realRuntime.monotonicMs();
      if (leavingSinceMs !== undefined) {
        if (nowMs - leavingSinceMs < ECHO_MS) return;
        Deno.exit(128 + NUMBERS[signal]);
      }
      leavingSinceMs = nowMs;
      void leave(node, { ...options, shutdownTimeout });
    };
    Deno.addSignalListener(signal, listener);
    listeners.push([signal, listener]);
  };
  try {
    signals.forEach(listen);
  } catch (error) {
    letGo();
    throw error;
  }
  void node.gossiper.closed.then(letGo);
  return { [Symbol.dispose]: letGo };
}

function usualSignals(): readonly EndingSignal[] {
  return Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGTERM", "SIGINT"];
}

/** Ends the process; does not return, unless by what a callback threw. */
async function leave(
  node: Leaving,
  options: LeaveOnSignalsOptions & { readonly shutdownTimeout: number },
): Promise<void> {
  const { shutdownTimeout, beforeLeaving, afterLeaving } = options;
  realRuntime.setTimer(shutdownTimeout, () => {
    warn(`Hearsay: this member was not done with leaving after ${shutdownTimeout} ms; its process ends.`);
    Deno.exit(1);
  });
  const errors: unknown[] = [];
  if (beforeLeaving) await prepare(beforeLeaving, shutdownTimeout / 2).catch((error) => errors.push(error));
  await node[Symbol.asyncDispose]();
  const { flush, error } = await node.gossiper.closed;
  if (error !== undefined) errors.push(error);
  try {
    await afterLeaving?.(flush ? { flush } : {});
  } catch (error) {
    errors.push(error);
  }
  // Nobody catches it: that is how a process says what went wrong.
  if (errors.length > 0) throw errors[0];
  Deno.exit(0);
}

async function prepare(
  beforeLeaving: NonNullable<LeaveOnSignalsOptions["beforeLeaving"]>,
  timeout: number,
): Promise<void> {
  using deadline = deadlineAfter(realRuntime, timeout, "What comes before leaving");
  const { signal } = deadline;
  try {
    await abortable(Promise.resolve(beforeLeaving({ signal })), signal);
  } catch (error) {
    // Its time is up, which is no fault: what is left of the time is for leaving.
    if (error !== signal.reason) throw error;
  }
}
