/**
 * Somebody with write access to the agent's directory: swaps ossec.conf and every temp file it can
 * find for symbolic and hard links to files outside, for FIFOs and for files of its own, as fast
 * as it can. It runs with the rights of the campaign, so no kernel protection helps the writer.
 */
import {
  closeSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

const [directory = '', victim = '', seed = '1'] = process.argv.slice(2);
const config = join(directory, 'ossec.conf');
const scratch = join(directory, 'scratch');
let state = Number(seed) >>> 0;
let swaps = 0;

/** xorshift32: cheap, and the same seed gives the same order of tricks. */
function next(bound: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % bound;
}

const tricks: readonly ((name: string) => void)[] = [
  (name) => {
    symlinkSync(victim, scratch);
    renameSync(scratch, name);
  },
  (name) => {
    linkSync(victim, scratch);
    renameSync(scratch, name);
  },
  (name) => {
    // 'wx': a rename between two links to one file does nothing and leaves `scratch` a link.
    writeFileSync(scratch, '<ossec_config/>\n', { flag: 'wx' });
    renameSync(scratch, name);
  },
  (name) => unlinkSync(name),
  (name) => {
    symlinkSync('/dev/zero', scratch);
    renameSync(scratch, name);
  },
];

function play(name: string): void {
  clear(scratch);
  try {
    tricks[next(tricks.length)]?.(name);
    swaps += 1;
  } catch {
    clear(scratch); // the writer was faster: the next trick starts clean
  }
}

function clear(name: string): void {
  try {
    unlinkSync(name);
  } catch {
    return; // not there
  }
}

function isSwapped(): boolean {
  const stats = lstatSync(config, { throwIfNoEntry: false });
  return stats === undefined || !stats.isFile() || stats.nlink !== 1;
}

/** A file that the writer takes for the agent's own, so that it goes on to the next steps. */
function putBack(): void {
  clear(scratch);
  try {
    const handle = openSync(scratch, 'wx', 0o660);
    writeFileSync(handle, '<ossec_config>\n</ossec_config>\n');
    closeSync(handle);
    renameSync(scratch, config);
  } catch {
    clear(scratch);
  }
}

process.on('SIGTERM', () => {
  process.stdout.write(`${swaps}\n`);
  process.exit(0);
});

function burst(): void {
  for (let count = 0; count < 50; count += 1) {
    const temps = readdirSync(directory).filter((name) => name.startsWith('.ossec.conf.pf-'));
    for (const name of temps) if (next(40) === 0) play(join(directory, name));
    if (next(300) === 0) play(config);
    if (next(60) === 0 && isSwapped()) putBack();
  }
  setImmediate(burst);
}
process.stdout.write('ready\n');
burst();
