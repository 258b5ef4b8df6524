/** The border where errors of the operating system become ours; bugs stay what they are. */
import { HostError, PilotfishError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';

/** Runs `work`; a system error (it has a code such as EIO) is thrown as E506 naming `what`. */
export async function asHostErrors<Value>(
  what: string,
  work: () => Promise<Value>,
): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PilotfishError || systemCodeOf(error) === undefined) throw error;
    throw new HostError('write_failed', `${what}: ${messageOf(error)}`, { cause: error });
  }
}
