/**
 * The victim of the crash campaign: one replace of `DIR/etc/ossec.conf` with state in `DIR/state`,
 * started by a line on standard input once the tracer is attached. `MODE` is `rename` or
 * `in_place`, `gnu` or `none` says whether attributes are carried by the real programs.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PilotfishError } from '../../src/errors.ts';
import { messageOf } from '../../src/guards.ts';
import { openTwoGenerationFile } from '../../src/host/two-generation-file.ts';
import { openVictim, type VictimMode } from './victim.ts';

const [directory = '', mode = 'rename', tools = 'none'] = process.argv.slice(2);
const file = openVictim(directory, mode as VictimMode, tools === 'gnu');
const memory = openTwoGenerationFile(join(directory, 'state', 'memory'));
const fresh = await readFile(join(directory, 'new.conf'));

process.stdout.write('ready\n');
await once(process.stdin, 'data');
process.stdin.destroy();
try {
  await file.recover();
  const before = await file.read();
  await memory.write(Buffer.from('intended'));
  await file.replace(before, fresh);
  await memory.write(Buffer.from('written'));
  process.stdout.write('done\n');
} catch (error) {
  const word = error instanceof PilotfishError ? 'failed' : 'unplanned';
  process.stdout.write(`${word} ${messageOf(error)}\n`);
}
