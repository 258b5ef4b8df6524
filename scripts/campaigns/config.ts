/**
 * Generated and damaged files in the agent's dialect: none may crash the reader or the editor, and
 * every edit must load exactly the wish, be stable, and leave everything else alone.
 */
import { parseArgs } from 'node:util';
import { onlyDiffersIn } from '../../src/agent-config/bytes-edit.ts';
import type { Dialect } from '../../src/agent-config/dialect.ts';
import { type EditWish, planEdit } from '../../src/agent-config/edit.ts';
import { type ConfigReading, readConfig } from '../../src/agent-config/servers.ts';
import { UneditableError } from '../../src/agent-config/uneditable.ts';
import { messageOf } from '../../src/guards.ts';
import { type Choose, makeFile, makeWish, mutate } from '../../test/agent-config/dialect-files.ts';
import { seededRandom, violation } from './verdicts.ts';

interface Tally {
  files: number;
  readonly read: Map<ConfigReading['kind'], number>;
  edited: number;
  unchanged: number;
  withNul: number;
  readonly notEdited: string[];
  readonly crashes: string[];
  readonly violations: string[];
}

const LONG_FILES = 1_000_000;
const SHORT_FILES = 4_000;
const NUL_RULE = 73;
const SHOWN = 10;
const PROGRESS_EVERY = 200_000;

/** What the editor may change: entries, deprecated block settings, tuning, enrollment. */
const editable: ReadonlySet<string> = new Set([
  'server',
  'manager',
  'server-ip',
  'server-hostname',
  'port',
  'protocol',
  'notify_time',
  'time-reconnect',
  'enrollment',
]);

export const campaign = {
  name: 'config',
  summary: 'a million made and damaged files: no crash, every edit exact',
  usage: 'config [--short] [--seed N] [--files N]',

  /** Exit code 0 without crash and violation, else 1. The seed of a run is printed. */
  async run(args: readonly string[], print: (line: string) => void): Promise<number> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        short: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        files: { type: 'string' },
      },
    });
    const seed = Number(values.seed);
    const files = Number(values.files ?? (values.short ? SHORT_FILES : LONG_FILES));
    if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(files) || files < 1) {
      print(`usage: ${campaign.usage}`);
      return 2;
    }
    const tally = newTally();
    const startedMs = performance.now();
    for (let index = 0; index < files; index += 1) {
      checkFile(`${seed}:${index}`, chooser(seed, index), tally);
      if (tally.files % PROGRESS_EVERY === 0) print(`… ${tally.files} files`);
    }
    report(tally, seed, performance.now() - startedMs, print);
    return tally.crashes.length + tally.violations.length === 0 ? 0 : 1;
  },
};

function newTally(): Tally {
  const counts = { files: 0, edited: 0, unchanged: 0, withNul: 0 };
  return { ...counts, read: new Map(), notEdited: [], crashes: [], violations: [] };
}

/** Each file has its own stream of choices: a failure replays from seed and index alone. */
function chooser(seed: number, index: number): Choose {
  const random = seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
  return (bound) => Math.floor(random() * bound);
}

function checkFile(label: string, choose: Choose, tally: Tally): void {
  tally.files += 1;
  const dialect: Dialect = choose(2) === 0 ? '4' : '5';
  const whole = makeFile(choose, dialect).bytes;
  const bytes = choose(2) === 0 ? whole : mutate(choose, whole);
  const wish = makeWish(choose);
  try {
    const reading = readConfig(bytes, dialect);
    tally.read.set(reading.kind, (tally.read.get(reading.kind) ?? 0) + 1);
    const wrong = checkEdit({ bytes, dialect, wish }, tally);
    if (wrong !== undefined) tally.violations.push(`${label}: ${wrong}`);
  } catch (thrown) {
    sortOut(label, thrown, tally);
  }
}

interface Task {
  readonly bytes: Buffer;
  readonly dialect: Dialect;
  readonly wish: EditWish;
}

function checkEdit({ bytes, dialect, wish }: Task, tally: Tally): string | undefined {
  const plan = planEdit(bytes, dialect, wish);
  if (plan.kind === 'unchanged') {
    tally.unchanged += 1;
    return violation(bytes, bytes, dialect, wish);
  }
  tally.edited += 1;
  if (!onlyDiffersIn(bytes, plan.bytes, plan.edits)) return 'bytes outside the edits changed';
  const before = residue(bytes, dialect);
  if (before !== residue(plan.bytes, dialect)) return 'something that is not ours changed';
  return violation(bytes, plan.bytes, dialect, wish);
}

/** Everything in the file an edit has no business with, found without the editor's own proof. */
function residue(bytes: Buffer, dialect: Dialect): string {
  const reading = readConfig(bytes, dialect);
  if (reading.kind === 'refused') return 'refused';
  const spans = reading.roots.flatMap((root) =>
    root.children.flatMap((section) => {
      const isOurs = section.name === 'client' || section.name === 'agent';
      return isOurs ? section.children.filter(({ name }) => !editable.has(name)) : [section];
    }),
  );
  return spans.map(({ start, end }) => bytes.toString('latin1', start, end)).join('\0');
}

function sortOut(label: string, thrown: unknown, tally: Tally): void {
  if (!(thrown instanceof UneditableError)) {
    tally.crashes.push(`${label}: ${messageOf(thrown)}`);
  } else if (thrown.reason === 'config_not_editable') {
    if (thrown.problem.ruleNumber === NUL_RULE) tally.withNul += 1;
    else tally.notEdited.push(`${label}: ${thrown.problem.said}`);
  }
}

function report(
  tally: Tally,
  seed: number,
  elapsedMs: number,
  print: (line: string) => void,
): void {
  const kinds = [...tally.read].map(([kind, count]) => `${kind} ${count}`).join(', ');
  print(`files       ${tally.files} (seed ${seed}): ${kinds}`);
  print(`edited      ${tally.edited}, already as wished ${tally.unchanged}`);
  print(
    `not edited  ${tally.withNul} with a NUL byte, ${tally.notEdited.length} for other reasons`,
  );
  print(`crashes     ${tally.crashes.length}`);
  print(`violations  ${tally.violations.length}`);
  print(`rate        ${Math.round((tally.files / elapsedMs) * 1000)} files/s`);
  const { crashes, violations, notEdited } = tally;
  for (const line of crashes.slice(0, SHOWN)) print(`crash: ${line}`);
  for (const line of violations.slice(0, SHOWN)) print(`violation: ${line}`);
  for (const [said, labels] of Map.groupBy(notEdited, (line) => line.replace(/^\d+:\d+: /, ''))) {
    print(`not edited: ${labels.length} times, first ${labels[0]?.slice(0, 160) ?? said}`);
  }
}
