/** One message to many peers: encoded and sealed once, framed per peer. */
import type { SealedMessage } from './sealed-message.ts';

export interface Receiver<Sent> {
  request(message: SealedMessage): Sent;
}

/** What each peer's `request` returned, by the peer's name. */
export function broadcast<Sent>(
  peers: ReadonlyMap<string, Receiver<Sent>>,
  message: SealedMessage,
): ReadonlyMap<string, Sent> {
  return new Map([...peers].map(([name, peer]) => [name, peer.request(message)]));
}
