import type { Mutant } from "../mutant_run.ts";

const LEAVING = ["tests/process/leave_on_signals_test.ts"];

/** Breaks of how a member leaves when its process is told to end, and of the service among the examples. */
export const MUTANTS: readonly Mutant[] = [
  {
    file: "leave_on_signals.ts",
    find: "if (isLeaving) Deno.exit(128 + NUMBERS[signal]);",
    replace: "if (isLeaving) return;",
    test: "a second signal ends the process at once, with 130",
    files: LEAVING,
  },
  {
    file: "leave_on_signals.ts",
    find: "if (isLeaving) Deno.exit(128 + NUMBERS[signal]);",
    replace: "if (isLeaving) Deno.exit(1);",
    test: "a second signal ends the process at once, with 143",
    files: LEAVING,
  },
  {
    file: "leave_on_signals.ts",
    find: "  void node.gossiper.closed.then(letGo);\n",
    replace: "",
    test: "a node that is over by other means lets the signals go",
    files: LEAVING,
  },
  {
    file: "leave_on_signals.ts",
    find: "{ [Symbol.dispose]: letGo }",
    replace: "{ [Symbol.dispose]: () => {} }",
    test: "leaving on signals holds nothing once it is disposed of",
    files: LEAVING,
  },
  {
    file: "leave_on_signals.ts",
    find: "    Deno.exit(1);\n",
    replace: "",
    test: "a member whose peers are frozen ends within shutdownTimeout",
    files: LEAVING,
  },
  {
    file: "leave_on_signals.ts",
    find: "export const SHUTDOWN_TIMEOUT = 4_000;",
    replace: "export const SHUTDOWN_TIMEOUT = 6_000;",
    test: "a process takes 4 s to end at most",
    files: LEAVING,
  },
  {
    file: "leave_on_signals.ts",
    find: "await prepare(beforeLeaving, shutdownTimeout / 2)",
    replace: "await prepare(beforeLeaving, shutdownTimeout)",
    test: "what comes before leaving has half of the time",
    files: LEAVING,
  },
  {
    file: "leave_on_signals.ts",
    find: "if (error !== signal.reason) throw error;",
    replace: "",
    test: "what throws before leaving is printed",
    files: LEAVING,
  },
  {
    file: "leave_on_signals.ts",
    find: ".catch((error) => errors.push(error));",
    replace: ";",
    test: "what throws before leaving is printed",
    files: LEAVING,
  },
  {
    file: "leave_on_signals.ts",
    find: "  if (errors.length > 0) throw errors[0];\n",
    replace: "",
    test: "what throws after leaving is printed",
    files: LEAVING,
  },
  {
    file: "leave_on_signals.ts",
    find: "await node[Symbol.asyncDispose]();",
    replace: "await Promise.resolve();",
    test: "R9.2 at SIGTERM a member prepares, leaves",
    files: LEAVING,
  },
  {
    file: "leave_on_signals.ts",
    find: "for (const signal of signals) assertEnding(signal);",
    replace: "",
    test: "a time to leave in, or a signal, that cannot be is refused",
    files: LEAVING,
  },
];
