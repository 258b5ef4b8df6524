/** Completions for bash, zsh and fish: commands first, then the flags of the command. */
import type { Surface } from './surface.ts';

export type Shell = 'bash' | 'zsh' | 'fish';
export const shells: readonly Shell[] = ['bash', 'zsh', 'fish'];

/** Where Debian and Red Hat look for them. */
export function completionPath(shell: Shell, program: string, format: 'deb' | 'rpm'): string {
  if (shell === 'bash') return `usr/share/bash-completion/completions/${program}`;
  if (shell === 'fish') return `usr/share/fish/vendor_completions.d/${program}.fish`;
  const folder = format === 'deb' ? 'vendor-completions' : 'site-functions';
  return `usr/share/zsh/${folder}/_${program}`;
}

export function renderCompletion(surface: Surface, shell: Shell): string {
  if (shell === 'bash') return renderBash(surface);
  return shell === 'zsh' ? renderZsh(surface) : renderFish(surface);
}

function namesOf({ commands }: Surface): readonly string[] {
  return [...new Set(commands.map(({ name }) => name.split(' ')[0] ?? name))];
}

/** `root renew` is known under its first word; both forms offer the same flags. */
function flagsOf({ commands }: Surface, name: string): readonly string[] {
  const found = commands.filter((command) => command.name.split(' ')[0] === name);
  const children = found.flatMap((command) => command.name.split(' ').slice(1, 2));
  const flags = found.flatMap((command) => command.flags.map(({ long }) => long));
  return [...new Set([...children, ...flags])];
}

function renderBash(surface: Surface): string {
  const { program } = surface;
  const call = `_${program.replaceAll('-', '_')}`;
  const cases = namesOf(surface).map(
    (name) => `    ${name}) words='${flagsOf(surface, name).join(' ')}' ;;`,
  );
  return `# bash completion for ${program}
${call}() {
  local current=\${COMP_WORDS[COMP_CWORD]} words
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${namesOf(surface).join(' ')}' -- "$current"))
    return
  fi
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
    *) words='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F ${call} ${program}
`;
}

function renderZsh(surface: Surface): string {
  const { program, commands } = surface;
  const lines = commands
    .filter(({ name }) => !name.includes(' '))
    .map(({ name, text }) => `    '${name}:${quoted(text)}'`);
  const cases = namesOf(surface).map(
    (name) => `    ${name}) compadd -- ${flagsOf(surface, name).join(' ')}; _files ;;`,
  );
  return `#compdef ${program}
_${program}() {
  local -a commands=(
${lines.join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  case $words[2] in
${cases.join('\n')}
  esac
}
_${program} "$@"
`;
}

function renderFish(surface: Surface): string {
  const { program, commands } = surface;
  const lines = commands.flatMap(({ name, text, flags }) => {
    const [first = name] = name.split(' ');
    const command = `complete -c ${program} -n __fish_use_subcommand -a ${first} -d '${quoted(text)}'`;
    const options = flags
      .filter(({ long }) => long.startsWith('--'))
      .map(
        ({ long, text: meaning }) =>
          `complete -c ${program} -n '__fish_seen_subcommand_from ${first}' -l ${long.slice(2)} -d '${quoted(meaning)}'`,
      );
    return [command, ...options];
  });
  return `${[`# fish completion for ${program}`, ...new Set(lines)].join('\n')}\n`;
}

function quoted(text: string): string {
  return text.replaceAll("'", '').replaceAll('`', '').replaceAll(':', ' ').replaceAll('\n', ' ');
}
