/**
 * The signals and the end of this process, in Deno, Node and Bun.
 *
 * @module
 */

/** A process. */
export interface HostProcess {
  /** `"win32"` on Windows. */
  readonly platform: string;
  /** Adds a listener for a signal. Throws if the platform does not have the signal. */
  on(signal: "SIGHUP" | "SIGINT" | "SIGQUIT" | "SIGTERM" | "SIGBREAK", listener: () => void): void;
  /** Removes the listener. */
  off(signal: "SIGHUP" | "SIGINT" | "SIGQUIT" | "SIGTERM" | "SIGBREAK", listener: () => void): void;
  /** Ends the process. */
  exit(code: number): void;
}

/** The value of a variable of the environment. */
export function environmentVariable(name: string): string | undefined {
  if ("Deno" in globalThis) return Deno.env.get(name);
  const { process } = globalThis as unknown as {
    readonly process: { readonly env: Readonly<Record<string, string | undefined>> };
  };
  return process.env[name];
}

/** This process. */
export function hostProcess(): HostProcess {
  if (!("Deno" in globalThis)) return (globalThis as unknown as { readonly process: HostProcess }).process;
  return {
    platform: Deno.build.os === "windows" ? "win32" : Deno.build.os,
    on: Deno.addSignalListener,
    off: Deno.removeSignalListener,
    exit: Deno.exit,
  };
}
