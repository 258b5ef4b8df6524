/** `import --haproxy | --nginx`: an existing HAProxy backend or nginx upstream as sections of publisher.yml, printed. */
import { readFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { readHaproxy } from '../balancer/import-haproxy.ts';
import { readNginx } from '../balancer/import-nginx.ts';
import { choosePool, type ImportedPool, type ImportedServer } from '../balancer/import-pool.ts';
import { ConfigError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { printable, show, type Terminal } from './terminal.ts';

export interface ImportFlags {
  readonly haproxy?: string;
  readonly nginx?: string;
  readonly name?: string;
  readonly json: boolean;
}

/** Prints; writes nothing. Throws ConfigError. */
export async function showPool(terminal: Terminal, flags: ImportFlags): Promise<void> {
  const pool = await readPool(flags);
  for (const note of pool.notes) terminal.err(`note: ${printable(note)}\n`);
  const sections = sectionsOf(pool);
  show(terminal, flags.json, { ...sections, notes: pool.notes }, () => stringify(sections));
}

/** Throws ConfigError `usage`, `config_unreadable`, `config_invalid`. */
async function readPool({ haproxy, nginx, name }: ImportFlags): Promise<ImportedPool> {
  const file = haproxy ?? nginx;
  if (file === undefined || (haproxy !== undefined && nginx !== undefined)) {
    throw new ConfigError('usage', 'import: one of --haproxy-helper, --haproxy and --nginx');
  }
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new ConfigError('config_unreadable', `${file}: ${messageOf(error)}`, { cause: error });
  });
  return choosePool(haproxy === undefined ? readNginx(text) : readHaproxy(text), name, file);
}

const usual = { balance: ['leastconn', 'source', 'first', 'roundrobin'], weight: 100 } as const;

/** As publisher.yml has them; the commands are Debian's and may differ elsewhere. */
export function sectionsOf({ kind, name, servers, balance }: ImportedPool) {
  const heaviest = Math.max(1, ...servers.map(({ weight }) => weight));
  const ids = new Set<string>();
  const managers = servers.map((server) => ({
    id: idOf(server, ids),
    ...{ address: server.address, port: server.port },
    prio: server.isBackup ? 1 : 0,
    weight: Math.round((server.weight / heaviest) * usual.weight),
    state: server.isOut ? 'drain' : 'up',
  }));
  const known = usual.balance.find((one) => one === balance);
  const balancer =
    kind === 'haproxy'
      ? {
          ...{ kind, backend: name, file: '/etc/haproxy/pilotfish.cfg' },
          ...(known === undefined ? {} : { balance: known }),
          check: [
            'haproxy',
            '-c',
            '-f',
            '/etc/haproxy/haproxy.cfg',
            '-f',
            '/etc/haproxy/pilotfish.cfg',
          ],
          reload: ['systemctl', 'reload', 'haproxy'],
        }
      : {
          ...{ kind, upstream: name, file: '/etc/nginx/pilotfish-upstream.conf' },
          check: ['nginx', '-t'],
          reload: ['systemctl', 'reload', 'nginx'],
        };
  return { managers, balancers: [balancer] };
}

/** Unique, of the letters that ids have. */
function idOf({ name, port }: ImportedServer, taken: Set<string>): string {
  const plain = name.replace(/[^A-Za-z0-9_-]/g, '-').slice(0, 56) || 'manager';
  const id = taken.has(plain) ? `${plain}-${port}` : plain;
  taken.add(id);
  return id;
}
