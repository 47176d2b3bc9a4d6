/**
 * The command `hearsay`: its commands and flags.
 *
 * @module
 */

import { type AddHelpTextContext, Command, CommanderError, Help, Option } from "../deps/commander.ts";
import { VERSION } from "../common/version.ts";
import { typesOf } from "../operations/log_levels.ts";
import { CommandFailure, EXIT, type ExitCode, exitCodeOf, lineOf } from "./failure.ts";
import { Screen } from "./screen.ts";
import { DEFAULT_ADDRESS, type TargetFlags } from "./target.ts";
import type { Terminal } from "./terminal.ts";

/** The surroundings of a command. */
export interface Context {
  readonly terminal: Terminal;
  readonly screen: Screen;
}

/** The flags of every command. */
export interface CommonFlags extends TargetFlags {
  readonly json?: boolean;
  readonly color?: boolean;
}

/** Runs a command. Returns its exit code; `undefined` means `ok`. */
export type Run<F extends CommonFlags = CommonFlags> = (
  context: Context,
  args: readonly (string | undefined)[],
  flags: F,
) => Promise<ExitCode | void>;

const EXAMPLES = `
Examples:
  hearsay members --at ws://127.0.0.1:7000
  hearsay get version --json
  hearsay doctor --config member.yaml
`;
const CODES =
  "Exit codes: 0 all went well; 1 a fault was found, or the thing asked for was not; 2 the command line or a file is " +
  "wrong; 3 no member could be reached, or the asked one has left; 4 a member refused.";
/** The narrowest column of descriptions. On a narrower terminal they begin on a line of their own. */
const LEAST_WIDTH = 24;

/** Runs the command line; resolves with the exit code. Never rejects. */
export async function main(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok;
  // The arguments after -- belong to another program.
  const isJson = args.slice(0, args.includes("--") ? args.indexOf("--") : args.length).includes("--json");
  const fail = (code: ExitCode, line: string): ExitCode => {
    terminal.writeError(
      isJson ? `${JSON.stringify({ error: line, exitCode: code })}\n` : `hearsay: ${line}\n`,
    );
    return code;
  };
  try {
    const program = programOf(terminal, (code) => exitCode = code, { isJson });
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) return fail(exitCodeOf(error), lineOf(error));
    if (error.exitCode === 0) return EXIT.ok;
    // Without --json the parser has written its error itself.
    return isJson ? fail(EXIT.usage, parserLine(error)) : EXIT.usage;
  }
}

/** The text of the parser's error as one line. */
function parserLine({ code, message }: CommanderError): string {
  if (code === "commander.help") return "A command must be given; `hearsay --help` lists them.";
  return lineOf(message.replace(/^error: /, ""));
}

/** The tree of commands. With `isJson` it writes no errors. */
export function programOf(
  terminal: Terminal,
  exit: (code: ExitCode) => void,
  { isJson = false }: { readonly isJson?: boolean } = {},
): Command {
  const program = new Command("hearsay")
    .configureHelp({ minWidthToWrap: LEAST_WIDTH, formatItem })
    .description("Looks into a running cluster, and runs members of it.")
    .version(VERSION)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.write(text),
      writeErr: (text) => {
        // With --json the error is written as JSON.
        if (!isJson) terminal.writeError(text.replace(/^error: /, "hearsay: ").replace("\n(", " ("));
      },
      // The help has no colors; without these two the parser would read the environment.
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      getOutHelpWidth: () => Math.min(100, terminal.size().columns),
      getErrHelpWidth: () => Math.min(100, terminal.size().columns),
    })
    .showSuggestionAfterError()
    .addHelpText("after", ({ command }) => `${EXAMPLES}\n${wrappedFor(command, CODES)}`);
  const bind: Bind = <F extends CommonFlags>(
    command: Command,
    load: () => Promise<Run<F>>,
    { hasJson = true }: { readonly hasJson?: boolean } = {},
  ) =>
    (hasJson ? command.option("--json", "print JSON: one document, or one in each line") : command)
      .option("--no-color", "print without colors; NO_COLOR in the environment does too")
      .action(async (...given: unknown[]) => {
        // Commander passes the arguments, the flags and the command.
        const flags = given.at(-2) as F;
        const values = given.slice(0, -2) as (string | undefined)[];
        const run = await load();
        const code = await run({ terminal, screen: new Screen(terminal, flags) }, values.flat(), flags);
        exit(code ?? EXIT.ok);
      });
  observing(program, bind);
  running(program, bind);
  others(program, bind);
  return program;
}

type Bind = <F extends CommonFlags>(
  command: Command,
  load: () => Promise<Run<F>>,
  options?: { readonly hasJson?: boolean },
) => Command;

/** A text, wrapped to the width of the help. */
function wrappedFor(command: Command, text: string, indent = 0): string {
  const width = command.configureOutput().getOutHelpWidth!() - indent;
  const wrapped = command.createHelp().boxWrap(text, width);
  return wrapped.replaceAll(/^/gm, " ".repeat(indent));
}

/** An item of the help: the description in a column of its own, or below its term on a narrow terminal. */
function formatItem(term: string, termWidth: number, description: string, help: Help): string {
  const { helpWidth = 80 } = help;
  if (description === "" || helpWidth - termWidth - 4 >= LEAST_WIDTH) {
    return Help.prototype.formatItem.call(help, term, termWidth, description, help);
  }
  return `  ${term}\n${help.boxWrap(description, helpWidth - 6).replaceAll(/^/gm, " ".repeat(6))}`;
}

/** The commands that ask a member. */
function observing(program: Command, bind: Bind): void {
  bind(asking(program.command("members")), async () => (await import("./commands/members.ts")).members)
    .description("list the members, as the asked one sees them")
    .option("--watch", "draw the list again, whenever it changes")
    .option("--all", "ask up to 16 other members too, and show who disagrees");
  bind(asking(program.command("get <key>")), async () => (await import("./commands/values.ts")).get)
    .description("print the values of a key, one for each member that set it")
    .option("--member <id>", "print this member's value alone");
  bind(asking(program.command("set <key> [json]")), async () => (await import("./commands/values.ts")).set)
    .description("let the asked member set a key of its own, if it permits that")
    .option("--delete", "delete the key");
  bind(asking(program.command("watch <key>")), async () => (await import("./commands/values.ts")).watch)
    .description("print the values of a key, and then every change");
  bind(
    asking(program.command("events [types...]")),
    async () => (await import("./commands/events.ts")).events,
  )
    .description("print events as they come: of membership and trouble, `all`, or these types")
    .addHelpText("after", typesHelp);
  bind(asking(program.command("top")), async () => (await import("./commands/top.ts")).top)
    .description("show rounds, traffic, lag and the slowest peers, every second")
    .option("--once", "show them once");
  bind(asking(program.command("explain [id]")), async () => (await import("./commands/explain.ts")).explain)
    .description("explain the status of a member; without an id, of the asked one");
  bind(asking(program.command("seen <key>")), async () => (await import("./commands/explain.ts")).seen)
    .description("print which members have the asked member's latest value of a key");
}

/** The help text with all types of events, because an operator cannot guess them. */
function typesHelp({ command }: AddHelpTextContext): string {
  const usual = typesOf("info");
  const others = typesOf("debug").filter((type) => !usual.includes(type));
  const list = (types: readonly string[]) => wrappedFor(command, types.join(", "), 2);
  return `\nTypes of membership and trouble:\n${list(usual)}\n\nOther types:\n${list(others)}`;
}

/** The commands for a member that the command line starts or describes. */
function running(program: Command, bind: Bind): void {
  const doctor = owning(asking(program.command("doctor"), { takesToken: false }));
  bind(doctor, async () => (await import("./commands/doctor.ts")).doctor)
    .description("find out why a member is alone: a running one (--at), or one with these settings");
  const agent = owning(program.command("agent"))
    .option("--cluster <name>", "the cluster's name")
    .option("--keys-file <file>", "a file with the keys of the cluster (or HEARSAY_KEYS)")
    .option("--ca <file>", "certificates of authorities for wss:, as PEM")
    .option("--log <level>", "the least severe level: debug, info, warn or error (default info)")
    .option("--read-only", "let no observer set the member's keys");
  bind(agent, async () => (await import("./commands/agent.ts")).agent)
    .description("run a member until a signal; it leaves in good order");
}

/** The commands that need no cluster. */
function others(program: Command, bind: Bind): void {
  bind(program.command("keygen"), async () => (await import("./commands/keygen.ts")).keygen)
    .description("print a new cluster key")
    .option("--signing <file>", "write a new key pair for signing to this file instead; needs --allow-write")
    .option("--fingerprints", "print the fingerprints of the keys that are given instead, to compare them")
    .option("--keys-file <file>", "the file with those keys (or HEARSAY_KEYS)");
  bind(asking(program.command("token")), async () => (await import("./commands/token.ts")).token)
    .description(
      "print a token for reading, for 30 s and one connection: HEARSAY_TOKEN of a person without a key",
    );
  const simulate = program.command("simulate [args...]");
  // The simulator prints text only.
  bind(simulate, async () => (await import("./commands/simulate.ts")).simulate, { hasJson: false })
    .description("run the project's simulator; arguments follow after --");
  bind(
    program.command("completions <shell>"),
    async () => (await import("./commands/completions.ts")).completions,
  )
    .description("print the completions of bash, zsh or fish");
}

/** Adds the flags for the settings of a member. */
function owning(command: Command): Command {
  const collect = (value: string, before: readonly string[] | undefined) => [...before ?? [], value];
  return command
    .option("--config <file>", "the member's settings, as YAML; flags win")
    .option("--id <text>", "the member's id")
    .option("--hostname <address>", "the address to listen on (default 127.0.0.1)")
    .option("--port <number>", "the port to listen on (default: a free one)")
    .option("--advertise <address>", "host:port or a URL that others dial")
    .option("--seed <address>", "a member to dial; may be repeated", collect);
}

/** Adds the flags for the member to ask. A command that takes no token refuses it with the reason. */
function asking(command: Command, { takesToken = true } = {}): Command {
  return command
    .addOption(
      new Option("--at <address>", `the member to ask (HEARSAY_AT; default ${DEFAULT_ADDRESS})`),
    )
    .option("--cluster <name>", "the cluster's name; needed with keys (HEARSAY_CLUSTER)")
    .option("--keys-file <file>", "a file with the keys of the cluster (or HEARSAY_KEYS)")
    .addOption(
      new Option("--token <text>", "a token for one connection, in place of keys (HEARSAY_TOKEN)")
        .hideHelp(!takesToken),
    )
    .option("--ca <file>", "certificates of authorities for wss:, as PEM")
    .option("--path <name>", "the member's gossipActorName, if the address has no path (default gossip)");
}

export { CommandFailure };
