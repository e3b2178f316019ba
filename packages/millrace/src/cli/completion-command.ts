/** `millrace completion`: scripts made from the commands themselves, so that they never lag behind. */
import type { Command } from "./command.ts";
import { helpOption, parseCommand } from "./command.ts";
import { commands } from "./commands.ts";
import { writeOut } from "./output.ts";
import { UsageError } from "./usage.ts";

type Known = Record<string, { summary: string; command: Command }>;

const shells: Record<string, (known: Known) => string> = { bash, zsh, fish };

export const completionCommand: Command = {
  usage: "completion bash|zsh|fish",
  about: "Prints a script that lets the shell complete commands and flags.",
  options: helpOption,
  words: Object.keys(shells),
  examples: [
    'eval "$(millrace completion bash)"          # in ~/.bashrc',
    'eval "$(millrace completion zsh)"           # in ~/.zshrc, behind compinit',
    "millrace completion fish > ~/.config/fish/completions/millrace.fish",
  ],
  async run(args) {
    const { positionals } = parseCommand("completion", args, helpOption, { min: 1, max: 1 });
    const shell = positionals[0] as string;
    const script = Object.hasOwn(shells, shell) ? shells[shell] : undefined;
    if (script === undefined) throw new UsageError(`Scripts are for bash, zsh and fish; got "${shell}".`);
    const known: Known = {};
    for (const [name, { summary, load }] of Object.entries(commands)) known[name] = { summary, command: await load() };
    await writeOut(script(known));
    return 0;
  },
};

const flagsOf = ({ options }: Command): string[] => Object.keys(options).map((name) => `--${name}`);

function bash(known: Known): string {
  const cases = Object.entries(known).map(
    ([name, { command }]) => `    ${name}) words="${[...(command.words ?? []), ...flagsOf(command)].join(" ")}" ;;`,
  );
  return `_millrace() {
  local words
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
    *) words="" ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words="${Object.keys(known).join(" ")} --help --version"; fi
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _millrace millrace
`;
}

function zsh(known: Known): string {
  const names = Object.entries(known).map(([name, { summary }]) => `    ${quoted(`${name}:${summary}`)}`);
  const cases = Object.entries(known).map(([name, { command }]) => {
    const flags = Object.entries(command.options).map(([flag, { help, value, multiple }]) => {
      const text = help.replace(/\s+/g, " ").replace(/[[\]:\\]/g, "\\$&");
      return quoted(`${multiple ? "*" : ""}--${flag}[${text}]${value === undefined ? "" : `:${value}:_files`}`);
    });
    const rest = command.words === undefined ? "*:word:_files" : `1:word:(${command.words.join(" ")})`;
    return `    ${name}) _arguments ${flags.join(" ")} ${quoted(rest)} ;;`;
  });
  return `#compdef millrace
_millrace() {
  local -a names
  names=(
${names.join("\n")}
  )
  if (( CURRENT == 2 )); then _describe command names; return; fi
  local name=$words[2]
  shift words
  (( CURRENT-- ))
  case $name in
${cases.join("\n")}
  esac
}
compdef _millrace millrace
`;
}

function fish(known: Known): string {
  const lines = Object.entries(known).flatMap(([name, { summary, command }]) => [
    `complete -c millrace -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`,
    ...(command.words ?? []).map(
      (word) => `complete -c millrace -n '__fish_seen_subcommand_from ${name}' -f -a ${word}`,
    ),
    ...Object.entries(command.options).map(([flag, { help, value }]) => {
      const wanted = value === undefined ? "" : " -r";
      return `complete -c millrace -n '__fish_seen_subcommand_from ${name}' -l ${flag}${wanted} -d ${quoted(help.replace(/\s+/g, " "))}`;
    }),
  ]);
  return `${lines.join("\n")}\n`;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
