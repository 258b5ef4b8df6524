/** Is a session where nobody would be led any more? Its name has other addresses now, or it left the list. Pure. */
import type { RelayManager } from './ports.ts';

/** `chosen`: whom the relay would dial now; an empty choice says nothing. */
export function isOutdated(manager: RelayManager, chosen: readonly RelayManager[]): boolean {
  return chosen.length > 0 && !chosen.some((one) => isSamePlace(one, manager));
}

export function isSamePlace(left: RelayManager, right: RelayManager): boolean {
  return left.id === right.id && left.address === right.address && left.port === right.port;
}
