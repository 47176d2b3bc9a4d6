/**
 * Completions for shells, made from the tree of commands. They are complete scripts, so a shell starts no process for
 * them.
 *
 * @module
 */

import type { Command } from "../deps/commander.ts";

/** The shells. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** A shell. */
export type Shell = typeof SHELLS[number];

interface Flag {
  readonly name: string;
  readonly hasValue: boolean;
  readonly isFile: boolean;
  readonly text: string;
}

interface Known {
  readonly name: string;
  readonly text: string;
  readonly flags: readonly Flag[];
  readonly words: readonly string[];
}

/** The script of a shell. `words` are the possible arguments of some commands. */
export function completionsFor(
  shell: Shell,
  program: Command,
  words: Readonly<Record<string, readonly string[]>>,
): string {
  const commands = program.commands.map((command): Known => ({
    name: command.name(),
    text: command.description(),
    flags: command.options.filter(({ hidden }) => !hidden).map(({ long, required, description, flags }) => ({
      name: long!,
      hasValue: required,
      isFile: flags.includes("<file>"),
      text: description,
    })),
    words: words[command.name()] ?? [],
  }));
  switch (shell) {
    case "bash":
      return bash(commands);
    case "zsh":
      return zsh(commands);
    case "fish":
      return fish(commands);
  }
}

function bash(commands: readonly Known[]): string {
  const cases = commands.map(({ name, flags, words }) => {
    const all = [...flags.map((flag) => flag.name), "--help", ...words].join(" ");
    return `    ${name}) words="${all}" ;;`;
  });
  const files = [...new Set(commands.flatMap(({ flags }) => flags.filter(({ isFile }) => isFile)))];
  const names = [...new Set(files.map(({ name }) => name))].join("|");
  return `# bash completion for hearsay
_hearsay() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words=""
  COMPREPLY=()
  case "$previous" in
    ${names}) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")} --help --version" -- "$current"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _hearsay hearsay
`;
}

function zsh(commands: readonly Known[]): string {
  const list = commands.map(({ name, text }) => `    ${quoted(`${name}:${text}`)}`);
  const cases = commands.map(({ name, flags, words }) => {
    const specs = flags.map((flag) => {
      const value = flag.isFile ? ":file:_files" : flag.hasValue ? ":value: " : "";
      return quoted(`${flag.name}[${flag.text.replace(/[[\]:]/g, "")}]${value}`);
    });
    const rest = words.length === 0 ? [] : [quoted(`*:argument:(${words.join(" ")})`)];
    return `    ${name}) _arguments ${[...specs, ...rest].join(" ")} ;;`;
  });
  return `#compdef hearsay
_hearsay() {
  local -a commands
  commands=(
${list.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
    return
  fi
  local command="$words[2]"
  shift words
  (( CURRENT-- ))
  case "$command" in
${cases.join("\n")}
  esac
}
compdef _hearsay hearsay
`;
}

function fish(commands: readonly Known[]): string {
  const lines = commands.flatMap(({ name, text, flags, words }) => {
    const inside = `-n '__fish_seen_subcommand_from ${name}'`;
    return [
      `complete -c hearsay -n __fish_use_subcommand -a ${name} -d ${fishQuoted(text)}`,
      ...flags.map((flag) => {
        const value = flag.isFile ? " -r -F" : flag.hasValue ? " -x" : "";
        return `complete -c hearsay ${inside} -l ${flag.name.slice(2)}${value} -d ${fishQuoted(flag.text)}`;
      }),
      ...words.length === 0 ? [] : [`complete -c hearsay ${inside} -a ${fishQuoted(words.join(" "))}`],
    ];
  });
  return `# fish completion for hearsay\ncomplete -c hearsay -f\n${lines.join("\n")}\n`;
}

/** A text in single quotes for bash and zsh. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
