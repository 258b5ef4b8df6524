/** Which addresses never leave this host. */
import { isIPv4 } from 'node:net';

/** 127.0.0.0/8, `::1`, and their IPv4-mapped form; a name is no address and never loopback. */
export function isLoopback(address: string): boolean {
  const plain = address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
  return plain === '::1' || (isIPv4(plain) && plain.startsWith('127.'));
}
