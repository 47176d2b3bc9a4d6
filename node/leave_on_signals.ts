/**
 * Makes a member leave gracefully when its process receives a signal to end.
 *
 * @module
 */

import { hostProcess } from "../common/host_process.ts";
import type { GossiperClosed } from "../gossiper/contract.ts";
import type { FlushResult } from "../gossiper/departure.ts";
import { warn } from "../common/log.ts";
import { assertNone, FUNCTION, listOf, optionsOf, rule } from "../options/rules.ts";
import { abortable, deadlineAfter, realRuntime } from "../common/runtime.ts";

/**
 * The default limit of {@linkcode leaveOnSignals}, in milliseconds. Platforms kill a process after 5 s
 * (some), 10 s (`docker stop`) or 30 s (Kubernetes).
 */
export const SHUTDOWN_TIMEOUT = 4_000;

/**
 * A second signal within this time, in milliseconds, is ignored as a copy of the first. At Ctrl-C a terminal signals
 * all of its processes, and `deno task` also passes its own signal on to its child.
 */
const ECHO_MS = 250;

/** The longest delay of a timer. */
const LONGEST_MS = 2 ** 31 - 1;

/** The signals that end a process. A shell reports 128 plus these numbers as the exit code. */
const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15, SIGBREAK: 21 } as const;

/** A signal that ends a process. */
export type EndingSignal = "SIGHUP" | "SIGINT" | "SIGQUIT" | "SIGTERM" | "SIGBREAK";

/** A member that can leave, such as a node of {@linkcode join}. */
export interface Leaving extends AsyncDisposable {
  /** Resolves when the member has ended. */
  readonly closed: Promise<GossiperClosed>;
}

/** Options of {@linkcode leaveOnSignals}. */
export interface LeaveOnSignalsOptions {
  /** The signals; SIGTERM and SIGINT by default (on Windows SIGINT and SIGBREAK). */
  readonly signals?: readonly EndingSignal[];
  /** The longest time to leave, in milliseconds; then the process exits with 1. 4,000 by default. */
  readonly shutdownTimeout?: number;
  /**
   * Called first, while the member still takes part: become unready, finish pending requests. After half of
   * `shutdownTimeout` its signal is aborted, and the member leaves even if this callback is unfinished.
   */
  readonly beforeLeaving?: (options: { readonly signal: AbortSignal }) => Promise<void> | void;
  /**
   * Called last, after the member has left: shut the server down. `flush` has the number of peers that
   * acknowledged the departure; it is missing if the member had failed.
   */
  readonly afterLeaving?: (options: { readonly flush?: FlushResult }) => Promise<void> | void;
}

const OPTIONS = optionsOf<LeaveOnSignalsOptions>({
  signals: listOf(
    rule((given) => typeof given === "string" && Object.hasOwn(NUMBERS, given), {
      problem: "must be a supported signal",
      allowed: `one of ${Object.keys(NUMBERS).join(", ")}`,
    }),
    "a list of signal names",
  ),
  shutdownTimeout: rule((given) => typeof given === "number" && given > 0 && given <= LONGEST_MS, {
    problem: "must be a duration",
    allowed: `a number of milliseconds from 1 to ${LONGEST_MS}`,
  }),
  beforeLeaving: FUNCTION,
  afterLeaving: FUNCTION,
});

/**
 * Lets a node leave when its process receives a signal, and then exits. At the first signal `beforeLeaving`
 * is called, the member leaves gracefully, `afterLeaving` is called, and the process exits with 0. After
 * `shutdownTimeout` it logs a warning and exits with 1. A second signal exits at once with 128 plus the
 * signal's number, as in a shell. A signal within a quarter of a second counts as the first, because `deno
 * task` repeats the signals of a terminal.
 *
 * If a callback throws, the remaining steps still run. Then the error is thrown uncaught, so Deno prints it
 * and exits with 1.
 *
 * The signal listeners are removed when the node ends in another way, or when the result is disposed of
 * before the node begins to leave. Only one node of a process should use this, because the first node that
 * has left ends the process. A program that blocks its event loop receives no signal.
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
 * @throws {ConfigurationError} naming every fault in the options.
 * @throws {TypeError} if the platform does not have one of the signals. Then there is no listener.
 */
export function leaveOnSignals(node: Leaving, options: LeaveOnSignalsOptions = {}): Disposable {
  assertNone(OPTIONS("leaveOnSignals", options));
  const { signals = usualSignals(), shutdownTimeout = SHUTDOWN_TIMEOUT } = options;
  const host = hostProcess();
  let leavingSinceMs: number | undefined;
  const listeners: (readonly [EndingSignal, () => void])[] = [];
  const letGo = () => {
    // While the member leaves, a second signal must still end the process.
    if (leavingSinceMs !== undefined) return;
    for (const [signal, listener] of listeners.splice(0)) host.off(signal, listener);
  };
  const listen = (signal: EndingSignal) => {
    const listener = () => {
      const nowMs = realRuntime.monotonicMs();
      if (leavingSinceMs !== undefined) {
        if (nowMs - leavingSinceMs < ECHO_MS) return;
        host.exit(128 + NUMBERS[signal]);
      }
      leavingSinceMs = nowMs;
      void leave(node, { ...options, shutdownTimeout });
    };
    host.on(signal, listener);
    listeners.push([signal, listener]);
  };
  try {
    signals.forEach(listen);
  } catch (error) {
    letGo();
    throw error;
  }
  void node.closed.then(letGo);
  return { [Symbol.dispose]: letGo };
}

function usualSignals(): readonly EndingSignal[] {
  return hostProcess().platform === "win32" ? ["SIGINT", "SIGBREAK"] : ["SIGTERM", "SIGINT"];
}

/** Leaves and ends the process. Throws the first error of a callback. */
async function leave(
  node: Leaving,
  options: LeaveOnSignalsOptions & { readonly shutdownTimeout: number },
): Promise<void> {
  const { shutdownTimeout, beforeLeaving, afterLeaving } = options;
  realRuntime.setTimer(shutdownTimeout, () => {
    warn(
      `Hearsay: this member did not finish leaving within ${shutdownTimeout} ms; the process exits with 1.`,
    );
    hostProcess().exit(1);
  });
  const errors: unknown[] = [];
  if (beforeLeaving) await prepare(beforeLeaving, shutdownTimeout / 2).catch((error) => errors.push(error));
  await node[Symbol.asyncDispose]();
  const { flush, error } = await node.closed;
  if (error !== undefined) errors.push(error);
  try {
    await afterLeaving?.(flush ? { flush } : {});
  } catch (error) {
    errors.push(error);
  }
  // Uncaught on purpose: the runtime prints the error and exits with 1.
  if (errors.length > 0) throw errors[0];
  hostProcess().exit(0);
}

async function prepare(
  beforeLeaving: NonNullable<LeaveOnSignalsOptions["beforeLeaving"]>,
  timeout: number,
): Promise<void> {
  using deadline = deadlineAfter(realRuntime, timeout, "`beforeLeaving`");
  const { signal } = deadline;
  try {
    await abortable(Promise.resolve(beforeLeaving({ signal })), signal);
  } catch (error) {
    // A timeout is no error: the rest of the time is for leaving.
    if (error !== signal.reason) throw error;
  }
}
