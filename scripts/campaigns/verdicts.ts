/**
 * Compares our reading of ossec.conf with recorded verdicts of the agent's own parser, then edits
 * every file that can be edited to a random list and reads the result again.
 *
 * Input: JSON lines (plain or gzip) with `id`, `file_b64`, `verdict` (`starts`, `refused`,
 * `no_server`, `placeholder_only`), `error` when refused, `servers` as the agent loaded them.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { createGunzip } from 'node:zlib';
import { normalAddress } from '../../src/agent-config/address.ts';
import { onlyDiffersIn } from '../../src/agent-config/bytes-edit.ts';
import type { Dialect } from '../../src/agent-config/dialect.ts';
import { type EditWish, planEdit, type WantedServer } from '../../src/agent-config/edit.ts';
import { type ConfigReading, readConfig } from '../../src/agent-config/servers.ts';
import { UneditableError } from '../../src/agent-config/uneditable.ts';
import { isJsonObject, type JsonObject, messageOf } from '../../src/guards.ts';

export interface RecordedVerdict {
  readonly id: string;
  readonly file: Buffer;
  readonly verdict: string;
  readonly error: string | undefined;
  readonly servers: readonly JsonObject[];
}

interface Tally {
  files: number;
  agreements: number;
  sameWords: number;
  refusals: number;
  edited: number;
  unchanged: number;
  withNul: number;
  readonly disagreements: string[];
  readonly notEdited: string[];
  readonly violations: string[];
}

const SHOWN_IDS = 20;
const NUL_RULE = 73;

export const campaign = {
  name: 'verdicts',
  summary: "agreement with the agent's own parser on recorded files, and edits of each",
  usage: 'verdicts FILE.jsonl[.gz] [--dialect 4|5] [--seed N]',

  /** Exit code 0 when every verdict and server list agrees and every edit holds, else 1. */
  async run(args: readonly string[], print: (line: string) => void): Promise<number> {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { dialect: { type: 'string' }, seed: { type: 'string', default: '1' } },
    });
    const [path] = positionals;
    const { dialect } = values;
    if (path === undefined || (dialect !== undefined && dialect !== '4' && dialect !== '5')) {
      print(`usage: ${campaign.usage}`);
      return 2;
    }
    const tally = newTally();
    const random = seededRandom(Number(values.seed));
    const startedMs = performance.now();
    try {
      for await (const line of linesOf(path)) {
        checkRecord(parseRecord(line), dialect ?? '4', tally, random);
      }
    } catch (thrown) {
      print(`${path}, record ${tally.files + 1}: ${messageOf(thrown)}`);
      return 2;
    }
    report(tally, performance.now() - startedMs, print);
    return tally.disagreements.length + tally.violations.length === 0 && tally.files > 0 ? 0 : 1;
  },
};

function newTally(): Tally {
  const counts = { files: 0, agreements: 0, sameWords: 0, refusals: 0 };
  const edits = { edited: 0, unchanged: 0, withNul: 0 };
  return { ...counts, ...edits, disagreements: [], notEdited: [], violations: [] };
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const file = createReadStream(path);
  const input = path.endsWith('.gz') ? file.pipe(createGunzip()) : file;
  file.on('error', (error) => input.destroy(error));
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() !== '') yield line;
  }
}

/** One line of a verdict file; throws `TypeError` when it has another form. */
export function parseRecord(line: string): RecordedVerdict {
  const record: unknown = JSON.parse(line);
  if (!isJsonObject(record)) throw new TypeError('a verdict record is a JSON object');
  const { id, file_b64: file, verdict, error, servers } = record;
  if (typeof file !== 'string' || typeof verdict !== 'string') {
    throw new TypeError(`record ${String(id)}: file_b64 and verdict are strings`);
  }
  return {
    id: String(id),
    file: Buffer.from(file, 'base64'),
    verdict,
    error: typeof error === 'string' ? error : undefined,
    servers: Array.isArray(servers) ? servers.filter(isJsonObject) : [],
  };
}

/** What differs between the record and our reading, undefined when nothing does. */
export function disagreement(
  record: RecordedVerdict,
  reading: ConfigReading,
  dialect: Dialect,
): string | undefined {
  if (reading.kind !== record.verdict) return `agent: ${record.verdict}, we: ${reading.kind}`;
  if (reading.kind === 'refused') return undefined;
  // The agent leaves interface_index of a deprecated first entry uninitialised: any value will do.
  const ours = reading.servers.map((server, index) => {
    const named = { address: server.address, port: server.port };
    if (dialect === '5') return named;
    const isDeprecated = server.form === 'server-ip' || server.form === 'server-hostname';
    const uninitialised = index === 0 && isDeprecated;
    return {
      ...named,
      protocol: server.protocol,
      interface_index: uninitialised ? record.servers[0]?.interface_index : server.interfaceIndex,
      max_retries: server.maxRetries,
      retry_interval: server.retryInterval,
    };
  });
  const theirs = record.servers.map((server) =>
    Object.fromEntries(Object.keys(ours[0] ?? {}).map((key) => [key, server[key]])),
  );
  const [left, right] = [JSON.stringify(theirs), JSON.stringify(ours)];
  return left === right ? undefined : `agent loads ${left}, we ${right}`;
}

function checkRecord(
  record: RecordedVerdict,
  dialect: Dialect,
  tally: Tally,
  random: () => number,
): void {
  tally.files += 1;
  const reading = readConfig(record.file, dialect);
  const difference = disagreement(record, reading, dialect);
  if (difference === undefined) tally.agreements += 1;
  else tally.disagreements.push(`${record.id}: ${difference}`);
  if (reading.kind === 'refused') {
    tally.refusals += 1;
    const words = reading.problem.said.replace("'ossec.conf'", "'FILE'");
    if (words === record.error) tally.sameWords += 1;
    return;
  }
  if (reading.kind !== 'no_server') editRecord(record, reading, dialect, tally, random);
}

function editRecord(
  record: RecordedVerdict,
  reading: ConfigReading,
  dialect: Dialect,
  tally: Tally,
  random: () => number,
): void {
  const wish = randomWish(reading, random);
  try {
    const plan = planEdit(record.file, dialect, wish);
    if (plan.kind === 'unchanged') tally.unchanged += 1;
    else tally.edited += 1;
    const after = plan.kind === 'unchanged' ? record.file : plan.bytes;
    const wrong = violation(record.file, after, dialect, wish);
    if (wrong !== undefined) tally.violations.push(`${record.id}: ${wrong}`);
    if (plan.kind === 'changed' && !onlyDiffersIn(record.file, after, plan.edits)) {
      tally.violations.push(`${record.id}: bytes outside the edits changed`);
    }
  } catch (thrown) {
    const isOurs = thrown instanceof UneditableError && thrown.reason === 'config_not_editable';
    if (isOurs && thrown.problem.ruleNumber === NUL_RULE) tally.withNul += 1;
    else if (isOurs) tally.notEdited.push(`${record.id}: ${thrown.problem.said}`);
    else tally.violations.push(`${record.id}: ${messageOf(thrown)}`);
  }
}

/** What is wrong with an edited file, undefined when it loads exactly the wish and stays so. */
export function violation(
  before: Uint8Array,
  after: Uint8Array,
  dialect: Dialect,
  wish: EditWish,
): string | undefined {
  const reading = readConfig(after, dialect);
  if (reading.kind !== 'starts') return `after the edit: ${reading.kind}`;
  const wanted = dialect === '4' ? wish.servers : wish.servers.slice(0, 1);
  const loaded = dialect === '4' ? reading.servers : reading.servers.slice(0, 1);
  const asText = (servers: readonly WantedServer[]): string =>
    JSON.stringify(
      servers.map(({ address, port, protocol }) => [
        normalAddress(address),
        port,
        dialect === '4' ? protocol : 'tcp',
      ]),
    );
  if (asText(wanted) !== asText(loaded)) return `loads ${asText(loaded)}, not ${asText(wanted)}`;
  const again = planEdit(after, dialect, wish);
  if (again.kind !== 'unchanged') return 'a second edit would change it again';
  const grown = after.length - before.length;
  return grown > 20_000 ? `grew by ${grown} bytes` : undefined;
}

/** One to five servers, some of them already in the file, in stored spelling. */
function randomWish(reading: ConfigReading, random: () => number): EditWish {
  const present = reading.kind === 'refused' ? [] : reading.servers;
  const pool: WantedServer[] = [
    { address: '10.77.0.1', port: 1514, protocol: 'tcp' },
    { address: 'wm-09.example.org', port: 2514, protocol: 'udp' },
    { address: '2001:0DB8:0000:0000:0000:0000:0000:0077', port: 1514, protocol: 'tcp' },
    { address: '192.0.2.177', port: 1517, protocol: 'tcp' },
    ...present
      .filter(({ address }) => /^(?:[a-z][\w-]*\.[\w.-]+|10\.0\.0\.\d)$/.test(address))
      .map(({ address, port, protocol }) => ({ address, port, protocol })),
  ];
  const servers = new Map<string, WantedServer>();
  const count = 1 + Math.floor(random() * 5);
  for (let index = 0; index < count; index += 1) {
    const server = pool[Math.floor(random() * pool.length)];
    if (server === undefined) continue;
    servers.set(`${server.address} ${server.port} ${server.protocol}`, server);
  }
  return { servers: [...servers.values()] };
}

/** Mulberry32: small, seeded, good enough to choose test inputs. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function report(tally: Tally, elapsedMs: number, print: (line: string) => void): void {
  const { files, agreements, disagreements, refusals, sameWords } = tally;
  print(`files          ${files}`);
  print(`agreements     ${agreements} (verdict and servers)`);
  print(`disagreements  ${disagreements.length}`);
  print(`refusals       ${refusals}, ${sameWords} of them in the agent's own words`);
  print(`edited         ${tally.edited}, already as wished ${tally.unchanged}`);
  print(
    `not edited     ${tally.withNul} with a NUL byte, ${tally.notEdited.length} for other reasons`,
  );
  print(`violations     ${tally.violations.length}`);
  print(`rate           ${Math.round((files / elapsedMs) * 1000)} files/s`);
  for (const [title, lines] of Object.entries({
    disagreement: disagreements,
    violation: tally.violations,
    'not edited': tally.notEdited,
  })) {
    for (const line of lines.slice(0, SHOWN_IDS)) print(`${title}: ${line}`);
    if (lines.length > SHOWN_IDS) print(`${title}: ${lines.length - SHOWN_IDS} more`);
  }
}
