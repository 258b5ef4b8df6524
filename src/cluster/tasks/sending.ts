/** A file to the peer for a task of its own (cluster-protocol.md 3.6): ask, send, say it is there. */
import type { Clock } from '../../clock.ts';
import { PeerError } from '../../errors.ts';
import { messageOf } from '../../guards.ts';
import type { Link } from '../link.ts';
import { expectOk } from '../upload.ts';
import { type Fault, fault, faultText } from '../wire/fault.ts';

/** The three commands of one kind of file. */
export type SendingKind =
  | {
      readonly start: 'integrityStart';
      readonly sent: 'integritySent';
      readonly failed: 'integrityFailed';
    }
  | { readonly start: 'updateStart'; readonly sent: 'updateSent'; readonly failed: 'updateFailed' }
  | {
      readonly start: 'extraValidStart';
      readonly sent: 'extraValidSent';
      readonly failed: 'integrityFailed';
    };

export const manifestKind: SendingKind = {
  start: 'integrityStart',
  sent: 'integritySent',
  failed: 'integrityFailed',
};
export const updateKind: SendingKind = {
  start: 'updateStart',
  sent: 'updateSent',
  failed: 'updateFailed',
};

/** Stock has no word for a failure of its own here (`syn_e_w_m_r` is unknown to its master). */
export const extraValidKind: SendingKind = {
  start: 'extraValidStart',
  sent: 'extraValidSent',
  failed: 'integrityFailed',
};

export interface Sent {
  /** Path on the peer, relative with a leading slash. */
  readonly path: string;
  readonly sentBytes: number;
}

/** How it went; the zip limit learns from it. */
export interface Trip {
  readonly isInterrupted: boolean;
  readonly sentBytes: number;
  readonly sendingMs: number | undefined;
}

/** Files under way to one peer, so that it can call one off. */
export class SendingTasks {
  readonly #open = new Map<string, AbortController>();

  /** The peer wants no more of this task. False: no such task. */
  cancelled(taskId: string | undefined, reason: Fault): boolean {
    const open = taskId === undefined ? undefined : this.#open.get(taskId);
    open?.abort(new PeerError('peer_refused', faultText(reason)));
    return open !== undefined;
  }

  /**
   * `send` uploads under the signal. `onTrip` is told before anything is thrown. Throws what the
   * peer refused or the link lost; the peer has then been told too.
   */
  async run(
    link: Link,
    kind: SendingKind,
    clock: Clock,
    send: (signal: AbortSignal, progress: (bytes: number) => void) => Promise<Sent>,
  ): Promise<Trip> {
    const answer = await link.request(kind.start, undefined);
    const taskId = expectOk(answer, 'the peer takes no file now').toString('latin1').slice(0, 64);
    if (!/^[!-~]+$/.test(taskId)) throw new PeerError('peer_refused', 'the peer gave no task id');
    const controller = new AbortController();
    this.#open.set(taskId, controller);
    const startedMs = clock.monotonicMs();
    let sentBytes = 0;
    try {
      const sent = await send(controller.signal, (bytes) => {
        sentBytes = bytes;
      });
      const sendingMs = clock.monotonicMs() - startedMs;
      const told = await link.request(kind.sent, { taskId, path: sent.path.replace(/^\//, '') });
      expectOk(told, 'the peer does not take the file');
      return { isInterrupted: false, sentBytes: sent.sentBytes, sendingMs };
    } catch (error) {
      if (controller.signal.aborted) {
        return { isInterrupted: true, sentBytes, sendingMs: undefined };
      }
      await tell(link, kind, taskId, error);
      throw error;
    } finally {
      this.#open.delete(taskId);
    }
  }
}

async function tell(link: Link, kind: SendingKind, taskId: string, error: unknown): Promise<void> {
  if (!link.isOpen) return;
  const reason = fault(1000, messageOf(error).slice(0, 256));
  await link.request(kind.failed, { taskId, fault: reason }).catch(() => undefined);
}
