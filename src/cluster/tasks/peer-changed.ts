/** What the log says of a node that is remembered as ours and does not prove it any more. */
import { PeerError } from '../../errors.ts';
import type { PeerBook } from './node-ports.ts';

/** `node`: as the book knows it. Undefined: that is not why its link ended. */
export function changedText(
  node: string,
  error: Error | undefined,
  book: PeerBook,
): string | undefined {
  const isChanged = error instanceof PeerError && error.reason === 'peer_changed';
  if (!isChanged || !book.isOurs(node)) return undefined;
  return (
    `'${node}' has been a node of ours and does not prove it now. Should it be a stock one from ` +
    `now on: pilotfish-publisher cluster forget-peer ${node}`
  );
}
