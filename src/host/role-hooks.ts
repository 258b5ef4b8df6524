/**
 * What follows the master's role on this host, as programs by argv: the daemons of the manager, and
 * the firewall that keeps the ports of a master shut on every other host. Each has a deadline.
 */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { runProgram } from './run-program.ts';

export interface HookCommands {
  readonly stop: readonly (readonly string[])[];
  readonly start: readonly (readonly string[])[];
  readonly follow: readonly (readonly string[])[];
  readonly timeoutMs: number;
}

/** Undefined: it ended with 0. */
export async function runHook(
  argv: readonly string[],
  timeoutMs: number,
): Promise<string | undefined> {
  const { exit, timedOut, stderr, startError } = await runProgram({ argv, timeoutMs });
  if (exit === 0) return undefined;
  const text = stderr.toString('utf8').trim().replace(/\s+/g, ' ').slice(0, 200);
  const said = text === '' ? '' : `: ${text}`;
  if (startError !== undefined) return `${argv[0]}: ${startError}`;
  return `${argv.join(' ')}: ${timedOut ? `not within ${timeoutMs} ms` : `exit ${exit}`}${said}`;
}

/** All at once: none of them may hold up another one. */
export async function runStop({ stop, timeoutMs }: HookCommands): Promise<readonly string[]> {
  const outcomes = await Promise.all(stop.map((argv) => runHook(argv, timeoutMs)));
  return outcomes.filter((one) => one !== undefined);
}

/** In order; the first that fails ends it. */
export async function runInOrder(
  commands: readonly (readonly string[])[],
  timeoutMs: number,
): Promise<readonly string[]> {
  for (const argv of commands) {
    const wrong = await runHook(argv, timeoutMs);
    if (wrong !== undefined) return [wrong];
  }
  return [];
}

const searchPath = '/usr/sbin:/usr/bin:/sbin:/bin';

/** Why this program could not be started; undefined: it is there and may be run. */
export async function hookFault(argv: readonly string[]): Promise<string | undefined> {
  const [program = ''] = argv;
  const paths = isAbsolute(program)
    ? [program]
    : searchPath.split(delimiter).map((folder) => join(folder, program));
  for (const path of paths) {
    const isFound = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isFound) return undefined;
  }
  return `${program}: not found, or not executable`;
}
