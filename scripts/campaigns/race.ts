/**
 * Can somebody who may write the agent's directory make us write, change or read a file outside
 * it? An attacker swaps names while we replace, round after round; the files outside must stay
 * byte for byte, in mode, owner and links.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Stats } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BackupStore, ConfigFile } from '../../src/applier/config-file.ts';
import { PilotfishError } from '../../src/errors.ts';
import { noAttributes } from '../../src/host/file-attributes.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { openUnixConfigFile } from '../../src/host/unix-config-file.ts';

const secret = 'a file outside: neither read nor written nor changed in any way\n';
const fresh = Buffer.from('<ossec_config>\n  <!-- ours -->\n</ossec_config>\n');
const plain = '<ossec_config>\n</ossec_config>\n';

export const campaign = {
  name: 'race',
  summary: 'an attacker swaps names in the directory while we replace ossec.conf',
  usage: 'race [--rounds N] [--short] [--seed N]',

  /** Exit code 0 when no file outside was touched, else 1. */
  async run(args: readonly string[], print: (line: string) => void): Promise<number> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        rounds: { type: 'string' },
        short: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
      },
    });
    const rounds = Number(values.rounds ?? (values.short ? 400 : 100_000));
    const root = await mkdtemp(join(tmpdir(), 'pf-race-'));
    try {
      return await race(root, { rounds, seed: values.seed }, print);
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  },
};

interface Plan {
  readonly rounds: number;
  readonly seed: string;
}

async function race(root: string, plan: Plan, print: (line: string) => void): Promise<number> {
  if (!(await calibrate(join(root, 'naive'), plan, print))) return 1;
  const { directory, victim } = await prepare(join(root, 'ours'));
  const before = await stat(victim);
  const attacker = await startAttacker(directory, victim, plan.seed);
  const leaks: string[] = [];
  const startedMs = performance.now();
  const outcomes = await playRounds(openTarget(join(root, 'ours'), leaks), plan.rounds);
  const seconds = (performance.now() - startedMs) / 1_000;
  const swaps = await stopAttacker(attacker);
  const violations = [...leaks, ...(await judge(victim, before))];
  print(`race: ${plan.rounds} rounds in ${seconds.toFixed(1)} s, ${swaps} swaps by the attacker`);
  for (const [outcome, count] of [...outcomes].toSorted()) print(`  ${outcome}: ${count}`);
  for (const violation of violations.slice(0, 10)) print(`VIOLATION ${violation}`);
  print(`race: seed ${plan.seed}, ${violations.length} files outside touched`);
  return violations.length === 0 ? 0 : 1;
}

async function prepare(
  root: string,
): Promise<{ readonly directory: string; readonly victim: string }> {
  const directory = join(root, 'etc');
  const victim = join(root, 'outside');
  await mkdir(directory, { recursive: true });
  await mkdir(join(root, 'state'));
  await writeFile(victim, secret, { mode: 0o600 });
  await writeFile(join(directory, 'ossec.conf'), plain);
  return { directory, victim };
}

const naiveRounds = 20_000;

/** The same attacker against a writer that trusts names: it must be hit, or the attack is none. */
async function calibrate(
  root: string,
  plan: Plan,
  print: (line: string) => void,
): Promise<boolean> {
  const { directory, victim } = await prepare(root);
  const attacker = await startAttacker(directory, victim, plan.seed);
  let round = 0;
  while (round < naiveRounds && (await readFile(victim, 'utf8')) === secret) {
    await writeFile(join(directory, 'ossec.conf'), fresh).catch(() => undefined); // FIFO, zero …
    round += 1;
  }
  await stopAttacker(attacker);
  const isHit = round < naiveRounds;
  print(`race: a writer that trusts names is hit after ${isHit ? round : 'no'} rounds`);
  return isHit;
}

function openTarget(root: string, leaks: string[]): ConfigFile {
  const backups: BackupStore = {
    keep: (bytes) => {
      if (Buffer.from(bytes).includes(secret)) leaks.push('the outside file was read');
      return Promise.resolve();
    },
    read: () => Promise.reject(new Error('no backups in this campaign')),
    readOriginal: () => Promise.resolve(undefined),
    forgetOriginal: () => Promise.resolve(),
  };
  return openUnixConfigFile({
    path: join(root, 'etc', 'ossec.conf'),
    stateDirectory: join(root, 'state'),
    maxBytes: 1024 * 1024,
    onLostAttributes: 'refuse',
    attributes: noAttributes,
    backups,
    clock: systemClock,
    random: systemRandom,
  });
}

async function playRounds(file: ConfigFile, rounds: number): Promise<ReadonlyMap<string, number>> {
  const outcomes = new Map<string, number>();
  for (let round = 0; round < rounds; round += 1) {
    const outcome = await playRound(file);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  return outcomes;
}

async function playRound(file: ConfigFile): Promise<string> {
  try {
    const before = await file.read();
    await file.replace(before, Buffer.concat([fresh, Buffer.from(before.hash)]));
    return 'replaced';
  } catch (error) {
    if (!(error instanceof PilotfishError)) throw error;
    return `${error.code} ${error.reason}`;
  }
}

async function startAttacker(
  directory: string,
  victim: string,
  seed: string,
): Promise<ChildProcess> {
  const program = new URL('../race/attacker.ts', import.meta.url).pathname;
  const attacker = spawn(process.execPath, [program, directory, victim, seed], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(attacker.stdout, 'data');
  return attacker;
}

async function stopAttacker(attacker: ChildProcess): Promise<string> {
  let said = '';
  attacker.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ended = once(attacker, 'close');
  attacker.kill('SIGTERM');
  await ended;
  return said.trim();
}

async function judge(victim: string, before: Stats): Promise<readonly string[]> {
  const now = await stat(victim);
  const text = await readFile(victim, 'utf8');
  const same = text === secret && now.ino === before.ino && now.mtimeMs === before.mtimeMs;
  const kept = now.mode === before.mode && now.uid === before.uid && now.gid === before.gid;
  return same && kept ? [] : [`${victim} was changed`];
}
