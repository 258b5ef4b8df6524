/**
 * The publisher's DNS zone: how long a manager that was killed is still named, and questions a second
 * over UDP next to Debian's knot with the same records, asked one after the other by `dnsperf`.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { decodeReply, encodeQuery } from '../../src/dns/query.ts';
import { buildDnsSockets } from '../../src/host/dns-sockets.ts';
import { missing, startKnot } from '../../test/fakes/name-servers.ts';
import { eventually, freePort } from '../../test/fakes/processes.ts';
import { type Bench, type Row, rowOf } from '../bench.ts';
import { Stage } from '../demonstration/stage.ts';

const run = promisify(execFile);
const origin = 'wm.example.test';
const dnsperf = '/usr/bin/dnsperf';
const sockets = buildDnsSockets();

export const bench: Bench = {
  name: 'zone',
  summary: 'the DNS zone: a killed manager is named no more after N s; questions/s next to knot',
  async run(args, note) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        kills: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '8' },
        rounds: { type: 'string', default: '3' },
      },
    });
    const stage = Stage.make();
    try {
      const port = await freePort('127.0.0.1');
      await stage.startManagers();
      await stage.startPublisher(zoneSection(port));
      await namedAre(
        port,
        stage.managers.map(({ address }) => address),
      );
      const left = await killEach(stage, port, Number(values.kills), note);
      const metric = 'a killed manager is still named';
      const rows = [rowOf({ subject: 'pilotfish', case: 'zone', metric, unit: 's' }, left)];
      return [...rows, ...(await besideKnot(stage, port, values, note))];
    } finally {
      await stage.stop();
    }
  },
};

function zoneSection(port: number): string {
  const listen = `{ address: 127.0.0.1, port: ${port} }`;
  return `\nzone: { name: ${origin}, listen: ${listen}, ttl: 2s, answersPerSecond: 1000000 }\n`;
}

async function killEach(
  stage: Stage,
  port: number,
  kills: number,
  note: (line: string) => void,
): Promise<readonly number[]> {
  const seconds: number[] = [];
  for (let round = 0; round < kills; round += 1) {
    const manager = stage.managers[round % stage.managers.length];
    if (manager === undefined) break;
    const others = stage.managers.filter((one) => one !== manager).map(({ address }) => address);
    await manager.process.kill();
    const atMs = performance.now();
    await namedAre(port, others);
    seconds.push((performance.now() - atMs) / 1_000);
    note(`${manager.id} named no more after ${seconds.at(-1)?.toFixed(2)} s`);
    await stage.revive(manager);
    await namedAre(port, [...others, manager.address]);
  }
  return seconds;
}

function namedAre(port: number, addresses: readonly string[]): Promise<true> {
  const wanted = String(addresses.toSorted());
  return eventually(
    `the zone names ${wanted}`,
    async () => String(await namedAt(port)) === wanted || undefined,
    240_000,
  );
}

async function namedAt(port: number): Promise<readonly string[]> {
  const query = encodeQuery({ name: origin, type: 'A' }, { id: 7 });
  const server = { address: '127.0.0.1', port, transport: 'udp' } as const;
  const answer = await sockets
    .datagram(server, query, () => 'accept', AbortSignal.timeout(2_000))
    .catch(() => undefined);
  if (answer === undefined) return [];
  const { answers } = decodeReply(answer, query);
  return answers.flatMap((one) => (one.type === 'A' ? [one.address] : [])).toSorted();
}

const questions = [`${origin} A`, `_wazuh._tcp.${origin} SRV`, `${origin} TXT`, `x.${origin} A`];

async function besideKnot(
  stage: Stage,
  port: number,
  values: { readonly seconds: string; readonly rounds: string },
  note: (line: string) => void,
): Promise<readonly Row[]> {
  const absent = missing('knot') || (existsSync(dnsperf) ? false : `needs ${dnsperf}`);
  if (absent !== false) {
    note(`questions a second left out: ${absent}`);
    return [];
  }
  const ends: (() => unknown)[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'pf-zone-'));
  try {
    const knot = await startKnot(
      { after: (end) => void ends.push(end as () => unknown) },
      zoneOf(stage),
    );
    const asked = join(folder, 'questions');
    writeFileSync(asked, `${questions.join('\n')}\n`);
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < Number(values.rounds); round += 1) {
      ours.push(await perSecond(port, asked, values.seconds));
      theirs.push(await perSecond(knot.port, asked, values.seconds));
      note(`round ${round + 1}: ${ours.at(-1)} beside ${theirs.at(-1)} of knot`);
    }
    const labels = { case: 'UDP, four questions in turn', metric: 'answers', unit: '1/s' };
    const ratios = ours.map((one, round) => one / (theirs[round] ?? Number.NaN));
    return [
      rowOf({ ...labels, subject: 'pilotfish' }, ours),
      rowOf({ ...labels, subject: 'knot' }, theirs),
      rowOf({ ...labels, subject: 'pilotfish / knot', metric: 'ratio', unit: '1' }, ratios),
    ];
  } finally {
    for (const end of ends.reverse()) await end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The same records in the form of a master file. */
function zoneOf({ managers }: Stage): Readonly<Record<string, string>> {
  const lines = managers.flatMap(({ id, address }) => [
    `@ 2 IN A ${address}`,
    `${id} 2 IN A ${address}`,
    `_wazuh._tcp 2 IN SRV 0 100 1514 ${id}`,
  ]);
  const head = [
    `$ORIGIN ${origin}.`,
    '@ 2 IN SOA ns hostmaster 1 60 60 600 2',
    '@ 2 IN NS ns',
    'ns 2 IN A 127.0.0.1',
    '@ 2 IN TXT "version=1"',
  ];
  return { [origin]: `${[...head, ...lines].join('\n')}\n` };
}

async function perSecond(port: number, questionsAt: string, seconds: string): Promise<number> {
  const argv = ['-s', '127.0.0.1', '-p', `${port}`, '-d', questionsAt, '-l', seconds];
  const { stdout } = await run(dnsperf, [...argv, '-c', '4', '-q', '200'], { timeout: 120_000 });
  const found = /Queries per second:\s+([\d.]+)/.exec(stdout)?.[1];
  const lost = /Queries lost:\s+(\d+)/.exec(stdout)?.[1];
  if (found === undefined) throw new Error(`dnsperf said: ${stdout.slice(0, 500)}`);
  if (Number(lost) > 0.01 * Number(found) * Number(seconds)) throw new Error(`${lost} were lost`);
  return Math.round(Number(found));
}
