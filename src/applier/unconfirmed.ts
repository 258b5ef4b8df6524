/**
 * What stood there before a write that no agent has confirmed yet. A kill between write and verdict
 * must not make that write the last word: whoever finishes the move can still go back.
 */
import { sha256Tag } from '../bytes.ts';
import { PilotfishError } from '../errors.ts';
import { readServers } from './draft.ts';
import type { Earlier, Run } from './run.ts';

/** Undefined unless the file is exactly what was intended, and the newest backup what it replaced. */
export async function unconfirmedWrite(
  { world, memory: { written, intended } }: Run,
  hash: string,
  agentVersion: string | undefined,
): Promise<Earlier | undefined> {
  if (intended?.byOperator === true) return undefined; // what an operator put back stays
  if (written === undefined || intended?.hash !== hash || written.hash === hash) return undefined;
  try {
    const bytes = await world.backups.read(1);
    if (sha256Tag(bytes) !== written.hash) return undefined;
    return { bytes, hash: written.hash, reading: readServers(bytes, agentVersion) };
  } catch (error) {
    if (error instanceof PilotfishError) return undefined; // no backup: nothing to go back to
    throw error;
  }
}
