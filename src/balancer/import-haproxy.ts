/** `backend` and `listen` sections of haproxy.cfg. HAProxy 2.x configuration manual 2.2, 4, 5.2. Pure. */
import { type ImportedPool, type ImportedServer, parseEndpoint } from './import-pool.ts';

const sections =
  /^(?:global|defaults|frontend|backend|listen|peers|resolvers|userlist|mailers|cache|program|ring|http-errors|fcgi-app|log-forward)$/;

export function readHaproxy(text: string): readonly ImportedPool[] {
  const pools: Draft[] = [];
  let current: Draft | undefined;
  for (const line of text.split('\n')) {
    const [word = '', ...rest] = line
      .replace(/(^|\s)#.*$/, '')
      .trim()
      .split(/\s+/);
    if (sections.test(word)) {
      const isPool = word === 'backend' || word === 'listen';
      current = isPool ? { name: rest[0] ?? '', servers: [], notes: [] } : undefined;
      if (current !== undefined) pools.push(current);
    } else if (current !== undefined) {
      takeLine(current, word, rest);
    }
  }
  return pools
    .filter(({ isHttp }) => isHttp !== true)
    .map(({ name, servers, notes, balance }) => ({
      ...{ kind: 'haproxy', name, servers, notes },
      ...(balance === undefined ? {} : { balance }),
    }));
}

interface Draft {
  readonly name: string;
  readonly servers: ImportedServer[];
  readonly notes: string[];
  balance?: string;
  isHttp?: boolean;
}

function takeLine(pool: Draft, word: string, rest: readonly string[]): void {
  if (word === 'mode') pool.isHttp = rest[0] === 'http';
  if (word === 'balance' && rest[0] !== undefined) pool.balance = rest[0];
  if (word === 'server-template') pool.notes.push('server-template is left out: name the servers');
  if (word !== 'server') return;
  const [name = '', endpoint = '', ...options] = rest;
  const at = parseEndpoint(endpoint.replace(/^(?:ipv4|ipv6)@/, ''), defaultPort);
  if (at === undefined) {
    pool.notes.push(`server ${name} is left out: ${endpoint} is no address`);
    return;
  }
  const weight = options[options.indexOf('weight') + 1];
  pool.servers.push({
    ...{ name, ...at },
    weight: options.includes('weight') && /^\d{1,3}$/.test(weight ?? '') ? Number(weight) : 1,
    isBackup: options.includes('backup'),
    isOut: options.includes('disabled'),
  });
}

const defaultPort = 1_514;
