/**
 * `hearsay agent`: a member from a YAML file and flags.
 *
 * @module
 */

import { messageOf } from "../../common/error_text.ts";
import { join, type Node } from "../../node/join.ts";
import type { JoinOptions } from "../../node/join_options.ts";
import { leaveOnSignals } from "../../node/leave_on_signals.ts";
import { type Logger, logTo } from "../../operations/logs.ts";
import { LOG_LEVELS, type LogLevel } from "../../operations/log_levels.ts";
import { MemberMeters } from "../../operations/metrics/member_meters.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { inWordsOfFile, joinOptionsOf, type MemberFlags, memberSettingsOf } from "../member_settings.ts";
import type { Tone } from "../paint.ts";
import type { CommonFlags, Context, Run } from "../program.ts";

/** The flags of the command. */
interface AgentFlags extends CommonFlags, MemberFlags {
  readonly cluster?: string;
  readonly keysFile?: string;
  readonly ca?: string;
  readonly log?: string;
  readonly readOnly?: boolean;
}

/** Joins, and stays until a signal. */
export const agent: Run<AgentFlags> = async (context, _, flags) => {
  const { screen } = context;
  const level = levelIn(flags.log ?? "info");
  const settings = await memberSettingsOf(flags);
  const options = await joinOptionsOf(settings, context.terminal);
  const node = await joined({
    ...options,
    log: false,
    meters: new MemberMeters(),
    observers: { maySet: flags.readOnly !== true },
  });
  using _log = logTo(node, loggerFor(context), { level });
  await setAll(node, settings.state);
  if (screen.isJson) screen.json({ id: node.id, cluster: settings.cluster, address: node.address });
  else {screen.line(
      `${node.id} of ${JSON.stringify(settings.cluster)} listens on ${node.address || "no address"}`,
    );}
  // At a signal the member leaves, and the process ends.
  using _signals = leaveOnSignals(node);
  const { reason, error } = await node.closed;
  if (reason === "failed") throw error;
};

async function joined(options: JoinOptions): Promise<Node> {
  try {
    return await join(options);
  } catch (error) {
    throw error instanceof ConfigurationError ? inWordsOfFile(error) : error;
  }
}

/** Sets the keys of the file. If a limit refuses one, the member leaves, because no process will run it. */
async function setAll(node: Node, state: Readonly<Record<string, unknown>>): Promise<void> {
  try {
    for (const [key, value] of Object.entries(state)) node.setState(key, value);
  } catch (error) {
    await node.stop();
    const text = messageOf(error).replace(/ Nothing was changed\.$/, "");
    throw new CommandFailure(EXIT.usage, `\`state\` does not fit: ${text} The member has left again.`);
  }
}

function levelIn(text: string): LogLevel {
  const level = LOG_LEVELS.find((each) => each === text);
  if (level !== undefined) return level;
  throw new CommandFailure(
    EXIT.usage,
    `--log must be one of ${LOG_LEVELS.join(", ")}; got ${JSON.stringify(text)}.`,
  );
}

const TONES: { readonly [level in LogLevel]: Tone } = {
  debug: "dim",
  info: "plain",
  warn: "warn",
  error: "bad",
};

/** One line for each event: text, or JSON with its fields. */
function loggerFor({ screen, terminal }: Context): Logger {
  const log = (level: LogLevel): Logger["info"] => (message, fields) => {
    if (screen.isJson) {
      return screen.json({ atUnixMilliseconds: terminal.runtime.wallMs(), level, message, ...fields });
    }
    const time = new Date(terminal.runtime.wallMs()).toISOString();
    screen.line(`${screen.paint(time, "dim")} ${screen.paint(level.padEnd(5), TONES[level])} ${message}`);
  };
  return { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
}
