/** What programs on a master's host may ask (cluster-protocol.md 2.2.1). */
import { askPeer, type LinkedPeer } from '../calls/ask-peers.ts';
import type { CallDesk } from '../calls/call-desk.ts';
import { CallQueue } from '../calls/call-queue.ts';
import { parseCallRequest } from '../calls/call-request.ts';
import {
  addedToQueue,
  clusterReply,
  full,
  healthReply,
  nameOf,
  nodesReply,
} from '../calls/master-calls.ts';
import type { NodeView } from '../calls/node-view.ts';
import type { PendingCalls } from '../calls/pending-calls.ts';
import type { Reply } from '../session/output.ts';
import type { NodeLog } from '../tasks/node-log.ts';
import type { Service } from '../tasks/services.ts';
import { fault } from '../wire/fault.ts';
import { answerCallLater } from './local-answers.ts';
import { commonHandlers, unknownCommand } from './local-common.ts';
import type { LocalPeer } from './local-server.ts';

export interface MasterLocalParts {
  readonly view: NodeView;
  readonly desk: CallDesk;
  readonly pending: PendingCalls;
  readonly callTimeoutMs: number;
  /** Under `D API`. */
  readonly log: NodeLog;
  worker(name: string): LinkedPeer | undefined;
}

export function masterLocal(parts: MasterLocalParts): Service<LocalPeer> {
  const { view, desk, log } = parts;
  const queue = new CallQueue();
  const call = (body: Buffer, program: LocalPeer): Reply => {
    const isTaken = queue.push(program, () =>
      answerCallLater(program, () => {
        const request = parseCallRequest(body);
        log.info(`Receiving request: ${nameOf(request)} from a program of this host`);
        return desk.run(request, program.signal);
      }),
    );
    return isTaken ? { kind: 'ok', payload: addedToQueue } : full;
  };
  return {
    handlers: {
      ...commonHandlers(view),
      listNodes: ({ value }) => nodesReply(view, value),
      readHealth: ({ value }, program) => healthReply(view, value, program.signal),
      askCluster: ({ value }, program) => clusterReply(view, value, program.signal),
      localCall: ({ value }, program) => call(Buffer.from(value), program),
      localCallTo: ({ value: { id, body } }, program) =>
        callTo(parts, queue, id, Buffer.from(body), program),
      localAskDaemon: () => unknownCommand('localAskDaemon'),
      localTellDaemon: () => unknownCommand('localTellDaemon'),
      reloadRuleset: () => unknownCommand('reloadRuleset'),
    },
    left: (program) => queue.drop(program),
  };
}

/** `dapi_fwd`: as it came, to the worker of that name; its answer comes back as any other. */
function callTo(
  parts: MasterLocalParts,
  queue: CallQueue,
  node: string,
  body: Buffer,
  program: LocalPeer,
): Reply {
  const worker = parts.worker(node);
  if (worker === undefined) return { kind: 'fault', fault: fault(3022) };
  const isTaken = queue.push(program, () =>
    answerCallLater(program, () =>
      askPeer(parts.pending, worker, body, parts.callTimeoutMs, program.signal),
    ),
  );
  return isTaken ? { kind: 'ok', payload: 'Request forwarded to worker node' } : full;
}
