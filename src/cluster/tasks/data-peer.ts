/** What the tasks about agents' data need of a peer, and how they get what it uploaded. */
import { messageOf } from '../../guards.ts';
import type { Link } from '../link.ts';
import { type Fault, fault, faultText } from '../wire/fault.ts';
import { PayloadError } from '../wire/payload.ts';
import type { SyncResult } from '../wire/wazuh-json.ts';
import type { ByteGate } from './byte-gate.ts';
import type { NodeLog } from './node-log.ts';
import type { TransferFolder } from './node-ports.ts';
import type { ServedPeer } from './services.ts';

export interface DataPeer extends ServedPeer {
  readonly transfers: TransferFolder;
}

/** What went wrong with a string, and how the peer is told in stock's words. */
export class DataFault extends Error {
  readonly fault: Fault;
  readonly told: string;

  constructor(reason: Fault, told: string) {
    super(faultText(reason));
    this.fault = reason;
    this.told = told;
  }
}

/** Bytes of the string under `id` for `use`, within the gate. Throws `DataFault` 3035, 3036. */
export async function useString<Value>(
  peer: DataPeer,
  id: string,
  ports: { readonly gate: ByteGate; readonly signal: AbortSignal },
  use: (bytes: Buffer) => Promise<Value>,
): Promise<Value> {
  const taken = peer.link.takeString(id);
  if (taken === undefined) throw unknownString(id);
  const bytes = taken.kind === 'memory' ? taken.bytes.length : taken.sizeBytes;
  return ports.gate.run(bytes, ports.signal, async () => {
    if (taken.kind === 'memory') return readable(() => use(taken.bytes));
    try {
      const stored = await peer.transfers.read(taken.transfer);
      return await readable(() => use(stored));
    } finally {
      await peer.transfers.drop(taken.transfer);
    }
  });
}

async function readable<Value>(use: () => Promise<Value>): Promise<Value> {
  try {
    return await use();
  } catch (error) {
    if (!(error instanceof PayloadError)) throw error;
    const text = `error while trying to load JSON: ${error.message}`;
    throw new DataFault(fault(3036, error.message), text);
  }
}

function unknownString(id: string): DataFault {
  const shown = `b'${id.replace(/[^ -~]/g, '?').slice(0, 64)}'`;
  return new DataFault(
    fault(3035, `it should be under task_id ${shown}, but it's empty.`),
    `error while trying to access string under task_id ${shown}.`,
  );
}

type ResultCommand = 'agentInfoStored' | 'groupsStored' | 'allGroupsStored';
type FailureCommand = 'agentInfoFailed' | 'groupsFailed' | 'allGroupsFailed';

/** Tell how it went. Nobody waits for what a lost link did not carry. */
export async function tellResult(
  link: Link,
  command: ResultCommand,
  result: SyncResult,
): Promise<void> {
  if (link.isOpen) await link.request(command, result).catch(() => undefined);
}

/** Say it in the log and to the peer, in stock's words. */
export async function tellFailure(
  peer: ServedPeer,
  command: FailureCommand,
  error: unknown,
  log: NodeLog,
): Promise<void> {
  log.error(messageOf(error));
  const told = error instanceof DataFault ? error.told : messageOf(error);
  if (peer.link.isOpen) await peer.link.request(command, told).catch(() => undefined);
}

/** `Finished in …` as stock writes it for what the peer told. */
export function sayFinished(log: NodeLog, tookS: string, result: SyncResult): void {
  const text = `Finished in ${tookS}s. Updated ${result.updatedChunks} chunks.`;
  const errors = result.errorMessages;
  if (errors.length === 0) log.info(text);
  else {
    const list = errors.map((one) => `'${one}'`).join(', ');
    log.error(`${text} There were ${errors.length} chunks with errors: [${list}]`);
  }
}
