/** What programs on a worker's host may ask; most of it is the master's to answer. */
import type { JsonValue } from '../../guards.ts';
import { askPeerRaw, type LinkedPeer } from '../calls/ask-peers.ts';
import type { CallDesk } from '../calls/call-desk.ts';
import { CallQueue } from '../calls/call-queue.ts';
import { type CallRequest, parseCallRequest } from '../calls/call-request.ts';
import { addedToQueue, full } from '../calls/master-calls.ts';
import type { NodeView } from '../calls/node-view.ts';
import type { PendingCalls } from '../calls/pending-calls.ts';
import type { Reply } from '../session/output.ts';
import type { NodeLog } from '../tasks/node-log.ts';
import type { Service } from '../tasks/services.ts';
import { fault } from '../wire/fault.ts';
import { PayloadError } from '../wire/payload.ts';
import { encodeFault } from '../wire/wazuh-json.ts';
import { answerCallLater, answerControlLater, answerDaemonLater } from './local-answers.ts';
import { commonHandlers, unknownCommand } from './local-common.ts';
import type { LocalPeer } from './local-server.ts';

export interface WorkerLocalParts {
  readonly view: NodeView;
  readonly desk: CallDesk;
  readonly pending: PendingCalls;
  /** How long a daemon of the master may take, all in all. */
  readonly daemonTimeoutMs: number;
  readonly log: NodeLog;
  /** The ready connection; undefined: not connected. */
  master(): LinkedPeer | undefined;
  /** The ruleset is to be read again once the files are like the master's. */
  reloadRuleset(): void;
}

export function workerLocal(parts: WorkerLocalParts): Service<LocalPeer> {
  const queue = new CallQueue();
  const daemonQueue = new CallQueue({ atOncePerAsker: 16, waitingPerAsker: 256, total: 512 });
  return {
    handlers: {
      ...commonHandlers(parts.view),
      listNodes: ({ value }, program) => askMaster(parts, 'listNodes', value, program),
      readHealth: ({ value }, program) => askMaster(parts, 'readHealth', value, program),
      // A stock master knows no such word: it is asked by the words it knows.
      askCluster: ({ value: { about, arguments: value } }, program) =>
        askMaster(parts, about === 'nodes' ? 'listNodes' : 'readHealth', value, program),
      localCall: ({ value }, program) => call(parts, queue, Buffer.from(value), program),
      localCallTo: () => unknownCommand('localCallTo'),
      localAskDaemon: ({ value, counter }, program) => {
        const reply = askDaemon(parts, daemonQueue, Buffer.from(value), program);
        if (reply !== undefined) return reply;
        program.link.dismiss(counter);
        return 'later';
      },
      localTellDaemon: ({ value }, program) =>
        askDaemon(parts, daemonQueue, Buffer.from(value), program) ?? {
          kind: 'ok',
          payload: 'Added request to sendsync requests queue',
        },
      reloadRuleset: () => {
        if (parts.master() === undefined) return alone(parts, 'sendrreload');
        parts.reloadRuleset();
        return { kind: 'ok', payload: '{"success": true}' };
      },
    },
    left: (program) => queue.drop(program),
  };
}

/** Stock's answer while there is no master. */
function alone({ log }: WorkerLocalParts, word: string): Reply {
  log.warning(
    `Request '${word}' could not be forwarded, worker is not connected to the master yet. It was ` +
      'answered with code 3023.',
  );
  return { kind: 'fault', fault: fault(3023) };
}

function askMaster(
  parts: WorkerLocalParts,
  command: 'listNodes' | 'readHealth',
  value: JsonValue,
  program: LocalPeer,
): Reply {
  const master = parts.master();
  if (master === undefined) return { kind: 'fault', fault: fault(3023) };
  void forward(master, command, value, program);
  return { kind: 'ok', payload: 'Sent request to master node' };
}

/** An error reaches the program too; stock's loses it and lets the program wait. */
async function forward(
  { link }: LinkedPeer,
  command: 'listNodes' | 'readHealth',
  value: JsonValue,
  program: LocalPeer,
): Promise<void> {
  const payload = await link.request(command, value).then(
    (answer) => (answer.kind === 'ok' ? Buffer.from(answer.payload) : encodeFault(answer.fault)),
    () => encodeFault(fault(link.isOpen ? 3020 : 3023)),
  );
  await answerControlLater(program, payload);
}

function call(parts: WorkerLocalParts, queue: CallQueue, body: Buffer, program: LocalPeer): Reply {
  const { desk } = parts;
  if (parts.master() === undefined && !isForHere(body)) return alone(parts, 'dapi');
  const isTaken = queue.push(program, () =>
    answerCallLater(program, () => desk.run(parseCallRequest(body), program.signal)),
  );
  return isTaken ? { kind: 'ok', payload: addedToQueue } : full;
}

/** A call that this node answers by itself; one that cannot be read is answered here too. */
function isForHere(body: Buffer): boolean {
  try {
    const { requestType }: CallRequest = parseCallRequest(body);
    return requestType === 'local_any';
  } catch (error) {
    if (error instanceof PayloadError) return true;
    throw error;
  }
}

/** Undefined: under way; the answer is a request of ours. */
function askDaemon(
  parts: WorkerLocalParts,
  queue: CallQueue,
  body: Buffer,
  program: LocalPeer,
): Reply | undefined {
  const master = parts.master();
  if (master === undefined) return alone(parts, 'sendsync');
  const { pending, daemonTimeoutMs } = parts;
  const isTaken = queue.push(master, () =>
    answerDaemonLater(program, () =>
      askPeerRaw(pending, master, 'askDaemon', body, daemonTimeoutMs, program.signal),
    ),
  );
  return isTaken ? undefined : full;
}
