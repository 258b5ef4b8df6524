/**
 * State that any user may replace is nobody's state: whoever may write the folder may swap the file
 * in it, whatever the file's own mode. The sticky bit does not help: names that are not there yet
 * can still be taken.
 */
import { stat } from 'node:fs/promises';
import { HostError } from '../errors.ts';

const othersMayWrite = 0o002;

/** Throws HostError `state_exposed`. A folder that is not there yet is made by us, closed. */
export async function refuseExposed(folder: string): Promise<void> {
  if (process.platform === 'win32') return; // no such bits; ProgramData inherits its own rules
  const stats = await stat(folder).catch(() => undefined);
  if (stats === undefined || (stats.mode & othersMayWrite) === 0) return;
  const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
  throw new HostError('state_exposed', `${folder} has mode ${mode}: every user may write there`);
}
