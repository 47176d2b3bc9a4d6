/**
 * The compared systems: how to build each program, and its settings.
 *
 * @module
 */

import { type CommandOptions, output } from "./command.ts";

/** One system. */
export interface System {
  readonly name: string;
  /** Its settings, for the reader of the table. */
  readonly settings: string;
  /**
   * Builds the program of a member.
   *
   * @throws {Error} if it cannot be built on this machine.
   */
  readonly build: (report: (sentence: string) => void) => Promise<Program>;
}

/** A member program. */
export interface Program {
  /** The program with its first arguments. */
  readonly command: readonly string[];
  /** The version of the system and of its compiler or runtime. */
  readonly version: string;
}

const HERE = new URL("./", import.meta.url);
/** Not committed and kept between runs: each first build takes one or two minutes. */
const BUILDS = new URL(".build/", HERE);
/** Enough for a first build with all downloads. */
const BUILD_BOUND_MS = 900_000;
/** The interval of progress reports. */
const PROGRESS_MS = 10_000;

const CHITCHAT_SETTINGS = "default failure detector: phi threshold 8, initial interval 5 s";

/** In the order of measurement. */
export const SYSTEMS: readonly System[] = [
  {
    name: "Hearsay",
    settings: "defaults: `heartbeatExpiration` 20 s; members find each other by seeds",
    build: buildHearsay,
  },
  {
    name: "protoactor-go",
    settings:
      "defaults: heartbeat expiration 20 s; the cluster provider is a fixed list of all members, so that " +
      "only gossip is measured, and a member counts as seen when its first heartbeat has arrived",
    build: (report) => buildGo("protoactor", { module: "github.com/asynkron/protoactor-go", report }),
  },
  {
    name: "memberlist",
    settings: "`DefaultLANConfig`: probe interval 1 s, suspicion multiplier 4; a value is a broadcast in a " +
      "`TransmitLimitedQueue`, and each receiver queues it again",
    build: (report) => buildGo("memberlist", { module: "github.com/hashicorp/memberlist", report }),
  },
  {
    name: "chitchat",
    settings: `${CHITCHAT_SETTINGS}; protocol version 0, which all versions of the crate understand`,
    build: (report) => buildChitchat({ flags: [], report }),
  },
  {
    name: "chitchat, compressed",
    settings: `${CHITCHAT_SETTINGS}; protocol version 1, whose digest is compressed`,
    build: (report) => buildChitchat({ flags: ["--compressed-digest"], report }),
  },
];

async function buildHearsay(): Promise<Program> {
  const member = new URL("hearsay_member.ts", HERE).href;
  const { version } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", HERE)));
  const deno = Deno.execPath();
  await output([deno, "cache", "--quiet", member], { cwd: HERE, boundMs: BUILD_BOUND_MS });
  const flags = ["--quiet", "--no-check", "--no-prompt", "--cached-only", "--allow-net=127.0.0.1"];
  return { command: [deno, "run", ...flags, member], version: `${version} on Deno ${Deno.version.deno}` };
}

async function buildGo(
  program: string,
  { module, report }: { readonly module: string; readonly report: (sentence: string) => void },
): Promise<Program> {
  const cwd = new URL("go/", HERE);
  const go = await output(["go", "env", "GOVERSION"], { cwd });
  const path = new URL(program, BUILDS).pathname;
  await withProgress(["go", "build", "-v", "-o", path, `./${program}`], { cwd, report });
  const version = await output(["go", "list", "-m", "-f", "{{.Version}}", module], { cwd });
  return { command: [path], version: `${version.trim()} on ${go.trim()}` };
}

async function buildChitchat(
  { flags, report }: { readonly flags: readonly string[]; readonly report: (sentence: string) => void },
): Promise<Program> {
  const cwd = new URL("chitchat/", HERE);
  const rust = await output(["rustc", "--version"], { cwd });
  const target = new URL("chitchat/", BUILDS).pathname;
  const env = { CARGO_TARGET_DIR: target };
  await withProgress(["cargo", "build", "--release"], { cwd, env, report });
  const manifest = await Deno.readTextFile(new URL("Cargo.toml", cwd));
  const version = /^chitchat = "=(.+)"$/m.exec(manifest)?.[1];
  return {
    command: [`${target}release/chitchat_member`, ...flags],
    version: `${version} on Rust ${rust.split(" ")[1]}`,
  };
}

/** Runs a build and reports its progress at intervals. */
async function withProgress(
  command: readonly string[],
  { report, ...options }: CommandOptions & { readonly report: (sentence: string) => void },
): Promise<void> {
  let steps = 0;
  const timer = setInterval(() => report(`\`${command[0]} build\`: ${steps} steps so far.`), PROGRESS_MS);
  try {
    await output(command, { ...options, boundMs: BUILD_BOUND_MS, onLine: () => void steps++ });
  } finally {
    clearInterval(timer);
  }
}
