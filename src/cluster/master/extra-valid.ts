/**
 * Files that workers of ours may add (cluster-protocol.md 4.3, extra valid): only of items that
 * this node's own configuration marks `extra_valid`, only what is not here yet. Everything else,
 * and every stock worker, gets stock's refusal.
 */
import { messageOf } from '../../guards.ts';
import type { Reply } from '../session/output.ts';
import type { NodeLog } from '../tasks/node-log.ts';
import type { ReceivedFile } from '../tasks/receiving.ts';
import type { Service } from '../tasks/services.ts';
import { fault, faultText } from '../wire/fault.ts';
import type { MasterDesk } from './desk.ts';
import type { IntegrityPeer } from './integrity.ts';

export function masterExtraValid(desk: MasterDesk): Service<IntegrityPeer> {
  const isMarked = desk.settings.cluster.catalogue.items.some(({ extraValid }) => extraValid);
  const may = ({ peer, features }: IntegrityPeer): boolean =>
    isMarked && peer === 'ours' && features.has('extra-valid');
  return {
    handlers: {
      extraValidStart: (_asked, worker) => (may(worker) ? start(worker, desk) : notAllowed),
      extraValidSent: ({ value }, worker) =>
        may(worker) ? told(worker.receiving.sent(value, worker.link), worker.log) : notAllowed,
    },
  };
}

const notAllowed: Reply = {
  kind: 'fault',
  fault: fault(3022, 'File not allowed to be synced from worker'),
};

function start(worker: IntegrityPeer, desk: MasterDesk): Reply {
  const task = worker.receiving.start();
  if (task === undefined) return { kind: 'fault', fault: fault(1000, 'too many tasks are open') };
  void receive(task.file, worker, desk);
  return { kind: 'ok', payload: task.id };
}

/** Never rejects. */
async function receive(
  coming: Promise<ReceivedFile>,
  worker: IntegrityPeer,
  desk: MasterDesk,
): Promise<void> {
  const log = worker.log.at('Integrity sync');
  try {
    const file = await coming;
    try {
      await place(file, worker, desk, log);
    } finally {
      await worker.transfers.drop(file.transfer);
    }
  } catch (error) {
    log.error(`Error updating worker files (extra valid): '${messageOf(error)}'.`);
  }
}

async function place(
  file: ReceivedFile,
  { transfers }: IntegrityPeer,
  { ports, local }: MasterDesk,
  log: NodeLog,
): Promise<void> {
  const { transfer } = file;
  const staging = transfers.stagingOf(transfer);
  const unpacked = await ports.jobs.unpack(transfers.pathOf(transfer), staging, 'worker');
  const { placedFiles, faults } = await ports.jobs.apply(unpacked.id, new Map());
  for (const { text } of faults.slice(0, 20)) {
    log.error(`Error updating worker files (extra valid): '${text}'.`);
  }
  log.info(`Received ${placedFiles} extra valid files.`);
  if (placedFiles > 0) await local.refresh();
}

function told(reply: Reply, log: NodeLog): Reply {
  if (reply.kind === 'fault') log.error(faultText(reply.fault));
  return reply;
}
