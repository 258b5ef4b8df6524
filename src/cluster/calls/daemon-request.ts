/**
 * `sendsync`: a worker's program asks a daemon of the master (cluster-protocol.md 4.8). The name
 * is looked up in a table, never made into a path; what is asked is a JSON object or a text.
 */
import { isJsonObject, type JsonValue } from '../../guards.ts';
import { fault, faultText } from '../wire/fault.ts';
import { PayloadError } from '../wire/payload.ts';
import { parsePlainObject } from '../wire/plain-json.ts';
import { pythonJson } from '../wire/python-json.ts';

export type DaemonName = 'authd' | 'task-manager' | 'wazuh-db' | 'remoted';

interface DaemonSpec {
  /** Below the home of the manager. */
  readonly socket: string;
  readonly timeoutMs: number;
}

/** An enrolment may wait for a disk; a status question may not. */
export const daemons: Readonly<Record<DaemonName, DaemonSpec>> = {
  authd: { socket: 'queue/sockets/auth', timeoutMs: 60_000 },
  'task-manager': { socket: 'queue/tasks/task', timeoutMs: 60_000 },
  'wazuh-db': { socket: 'queue/db/wdb', timeoutMs: 20_000 },
  remoted: { socket: 'queue/sockets/remote', timeoutMs: 20_000 },
};

/** The database answers whatever it is asked; no program of a worker asks it this way. */
export const defaultDaemons: readonly DaemonName[] = ['authd', 'task-manager', 'remoted'];

/** Both ways, as the daemons themselves limit it. */
export const daemonMessageBytes = 65_536;

export interface DaemonRequest {
  readonly daemon: DaemonName;
  readonly message: string;
}

/** A refusal in stock's words, to be sent as text. */
export class DaemonError extends Error {}

/** Throws `DaemonError`. */
export function parseDaemonRequest(
  bytes: Uint8Array,
  allowed: readonly DaemonName[],
): DaemonRequest {
  const { daemon_name: name, message } = parseObject(bytes);
  if (typeof name !== 'string') throw socketError('daemon_name is not a text');
  const daemon = allowed.find((one) => one === name);
  if (daemon === undefined) throw socketError(`'${name.replace(/[^ -~]/g, '?').slice(0, 64)}'`);
  const text = messageText(message);
  if (Buffer.byteLength(text) > daemonMessageBytes) {
    throw socketError(`the message has more than ${daemonMessageBytes} bytes`);
  }
  return { daemon, message: text };
}

function parseObject(bytes: Uint8Array) {
  if (bytes.length > 2 * daemonMessageBytes) throw socketError('the request is too long');
  try {
    const value = parsePlainObject(bytes);
    const unknown = Object.keys(value).find((key) => key !== 'daemon_name' && key !== 'message');
    if (unknown === undefined) return value;
    throw socketError(`unexpected argument ${JSON.stringify(unknown.slice(0, 64))}`);
  } catch (error) {
    throw error instanceof PayloadError ? socketError(error.message) : error;
  }
}

function messageText(message: JsonValue | undefined): string {
  if (typeof message === 'string') return message;
  if (isJsonObject(message)) return pythonJson(message);
  throw socketError('the message is neither a text nor an object');
}

export function socketError(why: string, code: 1013 | 1014 = 1014): DaemonError {
  return new DaemonError(faultText(fault(code, why)));
}
