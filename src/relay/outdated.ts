/** Is a session where nobody would be led any more? Its name has other addresses now, or it left the list. Pure. */
import type { RelayManager } from './ports.ts';

/** `chosen`: whom the relay would dial now; an empty choice says nothing. */
export function isOutdated(
  { id, address, port }: RelayManager,
  chosen: readonly RelayManager[],
): boolean {
  if (chosen.length === 0) return false;
  return !chosen.some((one) => one.id === id && one.address === address && one.port === port);
}
