/**
 * The manager list between our own nodes, in either direction: what the publisher beside a node
 * serves goes to every peer that said `list`, first when it is there and again at every change. A
 * stock node never sees the command. What the bytes mean is the publishers' business; a node
 * without a follower refuses them once and is left alone.
 */
import { type Clock, deadline, sleep } from '../../clock.ts';
import { PeerError } from '../../errors.ts';
import type { Reply } from '../session/output.ts';
import { sendString } from '../upload.ts';
import { fault } from '../wire/fault.ts';
import type { DataPeer } from './data-peer.ts';
import type { Service } from './services.ts';
import { takeString } from './taken-string.ts';

/** Port: the publisher beside this node. */
export interface ListDesk {
  /** What it serves; undefined: nothing yet. `mark` differs with every content. */
  held(): { readonly mark: string; readonly bytes: Uint8Array } | undefined;
  /** Resolves when `held` has another mark; rejects with `signal`. */
  untilOther(mark: string, signal: AbortSignal): Promise<void>;
  /** Absent where it signs itself. Keeps the newest only. */
  take?(bytes: Uint8Array, from: string): void;
  readonly maxBytes: number;
}

export interface ListPeer extends DataPeer {
  readonly name: string;
  readonly features: ReadonlySet<string>;
}

/** By then a peer of ours has told what it can do. */
const recogniseMs = 30_000;
const lookEveryMs = 200;
const answerMs = 20_000;
const againMs = 5_000;

export function listCourier(desk: ListDesk, clock: Clock): Service<ListPeer> {
  const { take } = desk;
  return {
    ...(take === undefined
      ? {}
      : { handlers: { listReady: ({ value }, peer) => receive(value, peer, { ...desk, take }) } }),
    tasks: [
      {
        name: 'list',
        async run(peer, signal) {
          if (await isOurs(peer, clock, signal)) await deliver(desk, peer, clock, signal);
        },
      },
    ],
  };
}

async function isOurs(peer: ListPeer, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const endAtMs = clock.monotonicMs() + recogniseMs;
  while (!peer.features.has('list')) {
    if (clock.monotonicMs() >= endAtMs) return false;
    await sleep(clock, lookEveryMs, signal);
  }
  return true;
}

/** Until the link ends, or the peer has no use for it. A slow line gets the same or the next one again. */
async function deliver(
  desk: ListDesk,
  peer: ListPeer,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  let sent = '';
  while (!signal.aborted) {
    await desk.untilOther(sent, signal);
    const held = desk.held();
    if (held === undefined) continue;
    const outcome = await hand(held.bytes, peer, clock, signal);
    if (outcome === 'unwanted') return;
    if (outcome === 'taken') sent = held.mark;
    else await sleep(clock, againMs, signal);
  }
}

async function hand(
  bytes: Uint8Array,
  peer: ListPeer,
  clock: Clock,
  signal: AbortSignal,
): Promise<'taken' | 'unwanted' | 'lost'> {
  const limit = deadline(clock, answerMs, signal);
  try {
    const id = await sendString(peer.link, bytes, { signal: limit.signal });
    const answer = await peer.link.request('listReady', id, { signal: limit.signal });
    if (answer.kind === 'fault') peer.log.debug('The manager list is not wanted there.');
    return answer.kind === 'ok' ? 'taken' : 'unwanted';
  } catch (error) {
    if (error instanceof PeerError || limit.signal.aborted) return 'lost';
    throw error;
  } finally {
    limit.cancel();
  }
}

async function receive(
  id: string,
  peer: ListPeer,
  desk: Required<Pick<ListDesk, 'take' | 'maxBytes'>>,
): Promise<Reply> {
  const bytes = await takeString(peer, id, desk.maxBytes);
  if (bytes === undefined || !peer.features.has('list')) {
    return { kind: 'fault', fault: fault(1000, 'no such string, or too long a list') };
  }
  desk.take(bytes, peer.name);
  return { kind: 'ok', payload: 'Taken' };
}
