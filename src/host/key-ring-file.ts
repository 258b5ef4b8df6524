/** The agents' keys from `client.keys`, read again when the file changes. */
import { stat } from 'node:fs/promises';
import { type Clock, sleep } from '../clock.ts';
import type { Complaints } from '../publisher/complaints.ts';
import type { KeyRing } from '../publisher/reports/report-desk.ts';
import { type ClientKey, parseClientKeys } from '../wazuh/client-keys.ts';
import { readBounded } from './read-bounded.ts';

export interface KeyRingFile extends KeyRing {
  /** Looks at the file until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
  look(): Promise<void>;
}

const lookEveryMs = 5_000;
/** More than half a million agents. */
const maxBytes = 64 * 1024 * 1024;
const topic = 'reports.keys';

export function buildKeyRingFile(path: string, clock: Clock, complaints: Complaints): KeyRingFile {
  let keys: ReadonlyMap<string, ClientKey> = new Map();
  let mark = '';
  const look = async (): Promise<void> => {
    const seen = await stat(path, { bigint: true }).catch(() => undefined);
    const now = seen === undefined ? 'gone' : `${seen.ino} ${seen.size} ${seen.mtimeNs}`;
    if (now === mark) return;
    const text = await readBounded(path, maxBytes);
    if (text === undefined) {
      // The keys known so far stay: a file that is being replaced must not stop the reports.
      complaints.begin(topic, `${path} cannot be read; reports need the agents' keys`);
      return;
    }
    keys = parseClientKeys(text.toString('utf8'));
    mark = now;
    complaints.end(topic);
  };
  return {
    keyOf: (agent) => keys.get(agent)?.key,
    size: () => keys.size,
    look,
    async run(signal) {
      while (!signal.aborted) {
        await look();
        await sleep(clock, lookEveryMs, signal).catch(() => undefined);
      }
    },
  };
}
