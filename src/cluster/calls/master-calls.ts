/**
 * What a master answers its workers beside their files: nodes and health, distributed calls and
 * their results, questions for its daemons (cluster-protocol.md 2.1.2, 4.8, 4.9).
 */
import { messageOf } from '../../guards.ts';
import { healthJson } from '../local/node-health.ts';
import type { Reply } from '../session/output.ts';
import type { NodeLog } from '../tasks/node-log.ts';
import type { ServedPeer, Service } from '../tasks/services.ts';
import { type StringPeer, takeString } from '../tasks/taken-string.ts';
import { expectOk, sendString } from '../upload.ts';
import { fault } from '../wire/fault.ts';
import type { ClusterQuestion } from '../wire/payload-call.ts';
import { pythonJson } from '../wire/python-json.ts';
import { answerCall, maxResultBytes } from './call-answer.ts';
import type { CallDesk } from './call-desk.ts';
import { CallQueue } from './call-queue.ts';
import { type CallRequest, parseCallRequest } from './call-request.ts';
import type { DaemonDesk } from './daemon-desk.ts';
import { healthNames, queryNodes } from './node-query.ts';
import type { NodeView } from './node-view.ts';
import { CallFailed, type PendingCalls } from './pending-calls.ts';
import { faultOf } from './verb.ts';

/** A worker, as far as calls go. */
export interface CallWorker extends ServedPeer, StringPeer {
  readonly name: string;
  /** Aborts when the link ends. */
  readonly signal: AbortSignal;
}

export interface MasterCallsParts {
  readonly view: NodeView;
  readonly desk: CallDesk;
  readonly daemons: DaemonDesk;
  readonly pending: PendingCalls;
  /** Under `D API`. */
  readonly log: NodeLog;
}

export class MasterCalls {
  readonly service: Service<CallWorker>;
  readonly #parts: MasterCallsParts;
  readonly #queue = new CallQueue();

  constructor(parts: MasterCallsParts) {
    this.#parts = parts;
    this.service = {
      handlers: {
        listNodes: ({ value }) => nodesReply(parts.view, value),
        readHealth: ({ value }, worker) => healthReply(parts.view, value, worker.signal),
        askCluster: ({ value }, worker) => clusterReply(parts.view, value, worker.signal),
        call: ({ value }, worker) => this.#call(value, worker),
        callResult: ({ value }, worker) => this.#result(value, worker),
        callFailed: ({ value: { id, text } }, worker) =>
          this.#answered(id, parts.pending.fail(worker, id, failure(text)), dapiErrorSent),
        askDaemon: ({ value }, worker) => this.#askDaemon(value, worker),
      },
      left: (worker) => {
        parts.pending.left(worker);
        this.#queue.drop(worker);
      },
    };
  }

  #call(
    { id, body }: { readonly id: string; readonly body: Uint8Array },
    worker: CallWorker,
  ): Reply {
    if (!isCallId(id)) return badId;
    const bytes = Buffer.from(body); // the frame's memory is reused
    const isTaken = this.#queue.push(worker, () => this.#run(id, bytes, worker));
    return isTaken ? { kind: 'ok', payload: addedToQueue } : full;
  }

  async #run(id: string, body: Buffer, worker: CallWorker): Promise<void> {
    const { desk, log } = this.#parts;
    await answerCall({ link: worker.link, id, log, signal: worker.signal }, () => {
      const request = parseCallRequest(body);
      log.info(`Receiving request: ${nameOf(request)} from ${worker.name} (${id})`);
      return desk.run(request, worker.signal);
    });
  }

  async #result(
    { id, stringId }: { readonly id: string; readonly stringId: string },
    worker: CallWorker,
  ): Promise<Reply> {
    const { pending } = this.#parts;
    if (!pending.isWaiting(worker, id)) return this.#answered(id, false, forwarded);
    const bytes = await takeString(worker, stringId, maxResultBytes);
    if (bytes === undefined) {
      pending.fail(worker, id, new CallFailed(fault(3035)));
      return { kind: 'fault', fault: fault(3035) };
    }
    return this.#answered(id, pending.settle(worker, id, bytes), forwarded);
  }

  #answered(id: string, isKnown: boolean, text: string): Reply {
    if (isKnown) return { kind: 'ok', payload: text };
    return { kind: 'fault', fault: fault(3032, id.slice(0, 128)) };
  }

  #askDaemon(
    { id, body }: { readonly id: string; readonly body: Uint8Array },
    worker: CallWorker,
  ): Reply {
    if (!isCallId(id)) return badId;
    void this.#answerDaemon(id, Buffer.from(body), worker);
    return { kind: 'ok', payload: 'Added request to SendSync requests queue' };
  }

  /** Never rejects: the worker hears an answer or a reason, if it is still there. */
  async #answerDaemon(id: string, body: Buffer, worker: CallWorker): Promise<void> {
    const { link, signal, name } = worker;
    const log = this.#parts.log.at('SendSync');
    try {
      const answer = await this.#parts.daemons.ask(body, `${name} (${id})`, signal);
      const stringId = await sendString(link, Buffer.from(answer), { signal });
      expectOk(await link.request('daemonAnswered', { id, stringId }, { signal }), 'sendsyn_res');
    } catch (error) {
      if (!link.isOpen) {
        log.error(
          `Error in Sendsync. The destination node is not connected or does not exist: '${name}'.`,
        );
        return;
      }
      const text = messageOf(error);
      log.error(`Error in SendSync (from ${name}): ${text}`);
      link.request('daemonFailed', { id, text }).catch(() => undefined);
    }
  }
}

export const addedToQueue = 'Added request to API requests queue';
const forwarded = 'Forwarded response';
const dapiErrorSent = 'DAPI error forwarded to worker';
export const full: Reply = { kind: 'fault', fault: fault(1000, 'too many calls wait here') };
export const badId: Reply = { kind: 'fault', fault: fault(1000, 'the id of a call is not one') };

export function isCallId(id: string): boolean {
  return /^[!-~]{1,128}$/.test(id);
}

export function nameOf({ verb }: CallRequest): string {
  return verb.slice(verb.lastIndexOf('.') + 1);
}

/** A peer's text about a call that failed there. */
export function failure(text: string): CallFailed {
  return new CallFailed(fault(1000, text.slice(0, 1024)));
}

export function nodesReply(view: NodeView, value: Parameters<typeof queryNodes>[1]): Reply {
  try {
    return { kind: 'ok', payload: pythonJson(queryNodes(view.nodes(), value)) };
  } catch (error) {
    return faultReply(error);
  }
}

/** `dapi_clus`. */
export async function clusterReply(
  view: NodeView,
  question: ClusterQuestion,
  signal: AbortSignal,
): Promise<Reply> {
  const { about, arguments: value } = question;
  return about === 'nodes' ? nodesReply(view, value) : healthReply(view, value, signal);
}

export async function healthReply(
  view: NodeView,
  value: Parameters<typeof healthNames>[0],
  signal: AbortSignal,
): Promise<Reply> {
  try {
    const health = await view.health(healthNames(value, view.nodes()), signal);
    return { kind: 'ok', payload: pythonJson(healthJson(health)) };
  } catch (error) {
    return faultReply(error);
  }
}

function faultReply(error: unknown): Reply {
  const known = faultOf(error);
  if (known === undefined) throw error;
  return { kind: 'fault', fault: known };
}
