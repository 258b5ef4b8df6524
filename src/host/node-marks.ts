/**
 * The keys that a node shows: its publisher's, where one answers, and that of its enrollment port.
 * Nothing is sent and nothing believed but what the root's pins vouch for.
 */
import type { X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';
import { type Clock, deadline, untilAborted } from '../clock.ts';
import type { Marks } from '../health/holder.ts';
import { isUnderPin, spkiPin } from './pinned-tls.ts';

export interface MarksQuestion {
  /** IP literal. */
  readonly address: string;
  /** Where publishers listen, and the pins of the root; empty: none is asked. */
  readonly publisherPorts: readonly number[];
  readonly pins: readonly string[];
  /** The enrollment port, or the agents' own port of a 5.x manager. */
  readonly serverPort: number;
}

/** Resolves within `deadlineMs`, with whatever was shown by then; rejects with `signal` only. */
export async function readMarks(
  clock: Clock,
  { address, publisherPorts, pins, serverPort }: MarksQuestion,
  { deadlineMs, signal }: { readonly deadlineMs: number; readonly signal: AbortSignal },
): Promise<Marks> {
  const limit = deadline(clock, deadlineMs, signal);
  const leafAt = (port: number) => readLeaf(address, port, limit.signal).catch(() => undefined); // nobody there says nothing
  try {
    const [server, ...publishers] = await Promise.all([
      leafAt(serverPort),
      ...publisherPorts.map(leafAt),
    ]);
    if (signal.aborted) throw signal.reason;
    const proven = publishers.find((leaf) => leaf !== undefined && isUnderPin(leaf, pins));
    return {
      ...(proven === undefined ? {} : { publisher: spkiPin(proven) }),
      ...(server === undefined ? {} : { server: spkiPin(server) }),
    };
  } finally {
    limit.cancel();
  }
}

/** The certificate is what is wanted; who it is for does not matter here. */
function readLeaf(host: string, port: number, signal: AbortSignal): Promise<X509Certificate> {
  const socket = connect({ host, port, minVersion: 'TLSv1.2', rejectUnauthorized: false });
  return untilAborted(
    new Promise<X509Certificate>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('closed before its certificate was seen')));
      socket.on('secureConnect', () => {
        const leaf = socket.getPeerX509Certificate();
        if (leaf === undefined) reject(new Error('no certificate'));
        else resolve(leaf);
      });
    }),
    signal,
  ).finally(() => socket.destroy());
}
