/** Asking other nodes over their links: a master its workers by name, a worker its master. */
import type { Link } from '../link.ts';
import { expectOk } from '../upload.ts';
import { fault } from '../wire/fault.ts';
import { PayloadError } from '../wire/payload.ts';
import { type CallResult, decodeCallResult } from '../wire/result-json.ts';
import { CallFailed, type PendingCalls } from './pending-calls.ts';

export interface LinkedPeer {
  readonly link: Link;
}

/** Rejects with `CallFailed`. */
export async function askPeer(
  pending: PendingCalls,
  peer: LinkedPeer,
  body: Buffer,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<CallResult> {
  const bytes = await askPeerRaw(pending, peer, 'call', body, timeoutMs, signal);
  try {
    return decodeCallResult(bytes);
  } catch (error) {
    if (!(error instanceof PayloadError)) throw error;
    throw new CallFailed(fault(3036, error.message));
  }
}

/** The bytes of the answer. Rejects with `CallFailed`, or with `DaemonError` for a daemon's. */
export function askPeerRaw(
  pending: PendingCalls,
  peer: LinkedPeer,
  command: 'call' | 'askDaemon',
  body: Buffer,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Buffer> {
  const ask = async (id: string): Promise<void> => {
    const answer = await peer.link.request(command, { id, body });
    if (answer.kind === 'fault') throw new CallFailed(answer.fault);
    expectOk(answer, command);
  };
  return pending.run(peer, timeoutMs, ask, signal);
}
