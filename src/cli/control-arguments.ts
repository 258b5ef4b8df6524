/**
 * The arguments of `cluster_control`: stock's of 4.x as they are, the forms of 3.0 mapped to them,
 * `--json`, `--watch` and `--home` of our own. Pure.
 */
import { ConfigError } from '../errors.ts';

export type ControlAction =
  | { readonly kind: 'help' }
  | { readonly kind: 'usage' }
  | { readonly kind: 'nodes' }
  | { readonly kind: 'agents'; readonly statuses: readonly string[] }
  | { readonly kind: 'health'; readonly isLong: boolean }
  | {
      readonly kind: 'files';
      readonly states: readonly string[];
      readonly names: readonly string[];
    };

export interface ControlWish {
  readonly action: ControlAction;
  /** `-fn`; undefined: not given, which is not the same as given without names. */
  readonly nodes: readonly string[] | undefined;
  readonly isJson: boolean;
  /** Seconds between two looks. */
  readonly watchS: number | undefined;
  readonly isDebug: boolean;
  readonly home: string | undefined;
}

interface Option {
  readonly name: string;
  readonly words: readonly string[];
  /** How many words follow: none, at most one, any number, exactly one. */
  readonly takes: 'none' | 'optional' | 'many' | 'one';
}

const options: readonly Option[] = [
  { name: 'help', words: ['-h', '--help'], takes: 'none' },
  { name: 'debug', words: ['-d', '--debug'], takes: 'none' },
  { name: 'nodes', words: ['-fn', '--filter-node', '-m', '--manager'], takes: 'many' },
  { name: 'states', words: ['-fs', '--filter-agent-status'], takes: 'many' },
  { name: 'agents', words: ['-a', '--list-agents', '--agents'], takes: 'none' },
  { name: 'list', words: ['-l', '--list-nodes'], takes: 'many' },
  { name: 'list', words: ['-n', '--nodes'], takes: 'none' },
  { name: 'files', words: ['--files'], takes: 'many' },
  { name: 'health', words: ['-i', '--health'], takes: 'optional' },
  { name: 'usage', words: ['-u', '--usage'], takes: 'none' },
  { name: 'json', words: ['--json'], takes: 'none' },
  { name: 'watch', words: ['--watch'], takes: 'optional' },
  { name: 'home', words: ['--home'], takes: 'one' },
];
/** Of 3.0: nothing is pushed or scanned by hand any more. */
const gone: Readonly<Record<string, string>> = {
  '-p': 'push',
  '--push': 'push',
  '-f': 'force',
  '--force': 'force',
  '-s': 'scan',
  '--scan': 'scan',
};
const actions = ['agents', 'list', 'health', 'usage', 'files'];
const fileStates: ReadonlySet<string> = new Set(['synchronized', 'pending', 'failed', 'invalid']);

/** Throws `ConfigError` `usage`. */
export function parseControl(argv: readonly string[]): ControlWish {
  const given = collect(argv);
  const chosen = actions.filter((name) => given.has(name));
  if (chosen.length > 1) {
    throw usage(`not allowed together: ${chosen.join(', ')}`);
  }
  const [home] = given.get('home') ?? [];
  return {
    action: given.has('help') ? { kind: 'help' } : actionOf(chosen[0], given),
    nodes: given.get('nodes'),
    isJson: given.has('json'),
    watchS: watchOf(given.get('watch')),
    isDebug: given.has('debug'),
    home,
  };
}

type Given = ReadonlyMap<string, readonly string[]>;

function actionOf(chosen: string | undefined, given: Given): ControlAction {
  const states = given.get('states');
  switch (chosen) {
    case 'agents':
      return { kind: 'agents', statuses: states ?? [] };
    case 'list':
      return listOf(given.get('list') ?? [], states);
    case 'files':
      return filesOf(given.get('files') ?? [], states ?? []);
    case 'health':
      refuseStates(states);
      return { kind: 'health', isLong: given.get('health')?.[0]?.toLowerCase() === 'more' };
    case 'usage':
      refuseStates(states);
      return { kind: 'usage' };
    default:
      return states === undefined ? { kind: 'help' } : filesOf([], states);
  }
}

/** `-l` lists nodes; followed by files it is 3.0's list of files. */
function listOf(names: readonly string[], states: readonly string[] | undefined): ControlAction {
  if (names.length > 0) return filesOf(names, states ?? []);
  refuseStates(states);
  return { kind: 'nodes' };
}

function filesOf(names: readonly string[], states: readonly string[]): ControlAction {
  if (!states.every((state) => fileStates.has(state))) throw usage('Wrong arguments.');
  return { kind: 'files', names, states };
}

/** Stock takes `-fs` with words for agents only. */
function refuseStates(states: readonly string[] | undefined): void {
  if (states !== undefined && states.length > 0) throw usage('Wrong arguments.');
}

function watchOf(words: readonly string[] | undefined): number | undefined {
  if (words === undefined) return undefined;
  const seconds = Number(words[0] ?? 2);
  if (seconds >= 1 && seconds <= 3600) return seconds;
  throw usage(`--watch ${words[0]}: expected 1 to 3600 seconds`);
}

/** Words by option; an option given twice counts once, with the words of the last. */
function collect(argv: readonly string[]): Given {
  const given = new Map<string, readonly string[]>();
  for (let at = 0; at < argv.length; ) {
    const [word = '', inline] = splitWord(argv[at] ?? '');
    const { name, takes } = optionOf(word);
    at += 1;
    const words = inline === undefined ? [] : [inline];
    while (inline === undefined && words.length < mostWords[takes] && isWord(argv[at])) {
      words.push(argv[at] ?? '');
      at += 1;
    }
    if (takes === 'one' && words.length === 0) throw usage(`${word}: expected one argument`);
    if (takes === 'none' && words.length > 0) throw usage(`${word} takes no argument`);
    given.set(name, words);
  }
  return given;
}

const mostWords = { none: 0, optional: 1, one: 1, many: Number.POSITIVE_INFINITY } as const;

function isWord(word: string | undefined): boolean {
  return word !== undefined && (!word.startsWith('-') || word === '-');
}

/** `--option=value`, and `-imore` as Python's parser takes it. */
function splitWord(word: string): [string, string?] {
  const equals = word.startsWith('--') ? word.indexOf('=') : -1;
  if (equals > 0) return [word.slice(0, equals), word.slice(equals + 1)];
  if (/^-i./.test(word)) return ['-i', word.slice(2)];
  return [word];
}

function optionOf(word: string): Option {
  const exact = options.find(({ words }) => words.includes(word));
  if (exact !== undefined) return exact;
  const what = gone[word];
  if (what !== undefined) {
    throw usage(`${word} (${what}) is of 3.0: nodes compare files by themselves; see -fs`);
  }
  const begun = options.filter(({ words }) =>
    words.some((one) => word.length > 2 && one.startsWith('--') && one.startsWith(word)),
  );
  const [only, ...others] = begun;
  if (only !== undefined && others.length === 0) return only;
  throw usage(`unrecognized arguments: ${word}`);
}

function usage(text: string): ConfigError {
  return new ConfigError('usage', text);
}

export const controlHelp = `usage: cluster_control [-h] [-d] [-fn [NODE ...]] [-fs [STATUS ...]] [-a | -l | -i [more] | -u]
                       [--json] [--watch [SECONDS]] [--home DIR]

options:
  -l, --list-nodes       nodes of the cluster
  -a, --list-agents      agents, and the node each reports to
  -i, --health [more]    when each node was last synchronised; more: at length
  -fn, --filter-node     only these nodes
  -fs, --filter-agent-status
                         with -a: agents of these states;
                         alone: files that nodes lack (synchronized pending failed invalid)
  -u, --usage            examples
  -d, --debug            tell what fails at length
  -h, --help             this text
      --json             print JSON
      --watch [SECONDS]  again every two seconds, or so many, until interrupted
      --home DIR         home of the manager

Of 3.0: -n is -l, --agents is -a, -m is -fn, --files FILE... and -l FILE... are -fs.
`;

export const controlUsage = `
    cluster_control [-h] [-d] [-fn [FILTER_NODE ...]] [-fs [FILTER_STATUS ...]][-a | -l | -i [HEALTH]]
    Usage:
    \t-l                                    # List all nodes present in a cluster
    \t-l -fn <node_name>                    # List certain nodes that belong to the cluster
    \t-a                                    # List all agents connected to the cluster
    \t-a -fn <node_name>                    # Check which agents are reporting to certain nodes
    \t-a -fs <agent_status>                 # List agents with certain status
    \t-i                                    # Check cluster health
    \t-i -fn <node_name>                    # Check certain node's health
    \t-fs                                   # Files that nodes lack, since when and why
`;
