/** `upstream` blocks of nginx outside `http`. ngx_stream_upstream_module. Pure. */
import { type ImportedPool, type ImportedServer, parseEndpoint } from './import-pool.ts';

const maxTokens = 100_000;

export function readNginx(text: string): readonly ImportedPool[] {
  const pools: ImportedPool[] = [];
  const open: string[] = [];
  let words: string[] = [];
  let servers: ImportedServer[] = [];
  let notes: string[] = [];
  for (const token of tokens(text)) {
    if (token === '{') {
      open.push(words.join(' '));
      words = [];
      [servers, notes] = [[], []];
    } else if (token === '}') {
      const [, name] = /^upstream (\S+)$/.exec(open.pop() ?? '') ?? [];
      if (name !== undefined && !open.includes('http')) {
        pools.push({ kind: 'nginx', name, servers, notes });
      }
      words = [];
    } else if (token === ';') {
      if (words[0] === 'server') takeServer(words.slice(1), servers, notes);
      words = [];
    } else {
      words.push(token);
    }
  }
  return pools;
}

function takeServer(words: readonly string[], servers: ImportedServer[], notes: string[]): void {
  const [endpoint = '', ...options] = words;
  const at = parseEndpoint(endpoint, 0);
  if (at === undefined) {
    notes.push(`server ${endpoint} is left out: no address with a port`);
    return;
  }
  const weight = options.map((one) => /^weight=(\d{1,6})$/.exec(one)?.[1]).find(Boolean);
  servers.push({
    ...{ name: at.address, ...at },
    weight: Number(weight ?? 1),
    isBackup: options.includes('backup'),
    isOut: options.includes('down'),
  });
}

/** Words, quoted ones too, and `{ } ;`; comments apart. */
function tokens(text: string): readonly string[] {
  const found = text.matchAll(
    /#[^\n]*|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|[{};]|[^\s{};"'#]+/g,
  );
  const words: string[] = [];
  for (const [token, double, single] of found) {
    if (token.startsWith('#')) continue;
    words.push(double ?? single ?? token);
    if (words.length >= maxTokens) break;
  }
  return words;
}
