/**
 * `var/run/wazuh-clusterd-PID.pid`: by this file stock programs (`cluster_control`, the API) see
 * that a cluster node runs. Files of nodes that are gone are removed; nobody is killed.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

export function ownPid(): number {
  return process.pid;
}

/** Writes it; the result removes it. `daemon`: `wazuh-clusterd`. Throws a system error. */
export function writePidFile(home: string, daemon: string): () => void {
  const folder = join(home, 'var', 'run');
  mkdirSync(folder, { recursive: true, mode: 0o770 });
  removeStale(folder, daemon);
  const path = join(folder, `${daemon}-${process.pid}.pid`);
  const file = openSync(path, 'w', 0o640);
  try {
    writeSync(file, `${process.pid}\n`);
  } finally {
    closeSync(file);
  }
  return () => rmSync(path, { force: true });
}

function removeStale(folder: string, daemon: string): void {
  if (!existsSync('/proc/self')) return; // who runs cannot be told here
  for (const name of readdirSync(folder)) {
    const isOurs = name.startsWith(`${daemon}-`) || name.startsWith(`${daemon}_child_`);
    const pid = isOurs ? /-(\d{1,10})\.pid$/.exec(name)?.[1] : undefined;
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      rmSync(join(folder, name), { force: true });
  }
}
