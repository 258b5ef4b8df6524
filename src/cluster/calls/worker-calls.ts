/**
 * What a worker answers its master beside its files: calls to run here, results of what it asked
 * for (cluster-protocol.md 2.1.3).
 */
import type { Reply } from '../session/output.ts';
import type { NodeLog } from '../tasks/node-log.ts';
import type { ServedPeer, Service } from '../tasks/services.ts';
import { type StringPeer, takeString } from '../tasks/taken-string.ts';
import { fault } from '../wire/fault.ts';
import { answerCall, maxResultBytes } from './call-answer.ts';
import type { CallDesk } from './call-desk.ts';
import { CallQueue } from './call-queue.ts';
import { parseCallRequest } from './call-request.ts';
import { DaemonError } from './daemon-request.ts';
import { addedToQueue, badId, failure, full, isCallId, nameOf } from './master-calls.ts';
import { CallFailed, type PendingCalls } from './pending-calls.ts';

/** The connection to the master, as far as calls go. */
export interface CallMaster extends ServedPeer, StringPeer {}

export interface WorkerCallsParts {
  readonly desk: CallDesk;
  readonly pending: PendingCalls;
  /** Under `D API`. */
  readonly log: NodeLog;
}

const responseForwarded = 'Response forwarded to worker';

export class WorkerCalls {
  readonly service: Service<CallMaster>;
  readonly #parts: WorkerCallsParts;
  readonly #queue = new CallQueue();
  readonly #stops = new WeakMap<CallMaster, AbortController>();

  constructor(parts: WorkerCallsParts) {
    this.#parts = parts;
    const { pending } = parts;
    this.service = {
      handlers: {
        call: ({ value }, master) => this.#call(value, master),
        callResult: ({ value }, master) => this.#result(value, master),
        callFailed: ({ value: { id, text } }, master) =>
          reply(id, pending.fail(master, id, failure(text)), 'DAPI error forwarded to worker'),
        daemonAnswered: ({ value }, master) => this.#result(value, master),
        daemonFailed: ({ value: { id, text } }, master) =>
          reply(
            id,
            pending.fail(master, id, new DaemonError(text.slice(0, 1024))),
            'SendSync error forwarded to worker',
          ),
      },
      left: (master) => {
        pending.left(master);
        this.#queue.drop(master);
        this.#stops.get(master)?.abort(new CallFailed(fault(3032)));
      },
    };
  }

  #call(
    { id, body }: { readonly id: string; readonly body: Uint8Array },
    master: CallMaster,
  ): Reply {
    if (!isCallId(id)) return badId;
    const bytes = Buffer.from(body); // the frame's memory is reused
    const isTaken = this.#queue.push(master, () => this.#run(id, bytes, master));
    return isTaken ? { kind: 'ok', payload: addedToQueue } : full;
  }

  async #run(id: string, body: Buffer, master: CallMaster): Promise<void> {
    const { desk, log } = this.#parts;
    const { signal } = this.#stopOf(master);
    await answerCall({ link: master.link, id, log, signal }, () => {
      const request = parseCallRequest(body);
      log.info(`Receiving request: ${nameOf(request)} from master (${id})`);
      // What the master sends is for us; sent back it would go round for ever.
      return desk.run({ ...request, requestType: 'local_any' }, signal);
    });
  }

  #stopOf(master: CallMaster): AbortController {
    const stop = this.#stops.get(master) ?? new AbortController();
    this.#stops.set(master, stop);
    return stop;
  }

  async #result(
    { id, stringId }: { readonly id: string; readonly stringId: string },
    master: CallMaster,
  ): Promise<Reply> {
    const { pending } = this.#parts;
    if (!pending.isWaiting(master, id)) return reply(id, false, responseForwarded);
    const bytes = await takeString(master, stringId, maxResultBytes);
    if (bytes !== undefined) return reply(id, pending.settle(master, id, bytes), responseForwarded);
    pending.fail(master, id, new CallFailed(fault(3035)));
    return { kind: 'fault', fault: fault(3035) };
  }
}

function reply(id: string, isKnown: boolean, text: string): Reply {
  if (isKnown) return { kind: 'ok', payload: text };
  return { kind: 'fault', fault: fault(3032, id.slice(0, 128)) };
}
