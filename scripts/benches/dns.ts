/**
 * A DNS record is changed while agents are connected to the manager that it named, alive or dead: how
 * long until they are on the new one, natively and with Pilotfish without a publisher, all at the same
 * change. TTL 5 and 60 in real time; 3600 by the resolver alone under an injected clock.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { defaultCacheSettings } from '../../src/dns/cache.ts';
import { Resolver } from '../../src/dns/resolver.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { ShiftedClock } from '../../test/dns/shifted-clock.ts';
import { type Bench, type Row, rowOf } from '../bench.ts';
import { playInNamespace } from '../bench-peers/namespace-play.ts';
import type { MoveResult } from '../dns-move/play.ts';

const playPath = fileURLToPath(new URL('../dns-move/play.ts', import.meta.url));
const longTtlSec = 3_600;

export const bench: Bench = {
  name: 'dns',
  summary: 'a changed DNS record: agent on the new manager after N s, native and Pilotfish',
  async run(args, note) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        ttls: { type: 'string', default: '5,60' },
        olds: { type: 'string', default: 'alive,dead' },
        subjects: { type: 'string', default: 'native,agentd,relay' },
        runs: { type: 'string', default: '3' },
        cut: { type: 'string', default: '90' },
      },
    });
    const rows: Row[] = [];
    for (const ttl of values.ttls.split(',')) {
      for (const old of values.olds.split(',')) {
        const results: MoveResult[] = [];
        for (let run = 0; run < Number(values.runs); run += 1) {
          // Alive, only the age of the answer matters: every run changes the record at another one.
          const share = old === 'alive' ? (run + 0.5) / Number(values.runs) : 0;
          const when = ['--wait', String(share * Number(ttl))];
          const who = ['--subjects', values.subjects, '--cut', values.cut];
          const args = ['--ttl', ttl, '--old', old, ...who, ...when];
          results.push(...(await play(args, note)));
        }
        rows.push(...rowsOf(results, `TTL ${ttl}, old ${old}`, Number(values.cut)));
      }
    }
    return [...rows, await injectedRow()];
  },
};

function play(
  args: readonly string[],
  note: (line: string) => void,
): Promise<readonly MoveResult[]> {
  const told = (line: string): void => note(`${args.join(' ')}: ${line}`);
  return playInNamespace({ program: playPath, args, more: ['--mount'] }, told);
}

function rowsOf(results: readonly MoveResult[], what: string, cutS: number): readonly Row[] {
  return [...new Set(results.map(({ subject }) => subject))].flatMap((subject) => {
    const own = results.filter((one) => one.subject === subject);
    const labels = {
      subject: subject === 'native' ? subject : `pilotfish-${subject}`,
      case: what,
    };
    const isCut = own.some(({ movedS }) => movedS === undefined);
    const metric = isCut ? 'on the new one, at least' : 'on the new one';
    const ordered = own.flatMap(({ orderedS }) => (orderedS === undefined ? [] : [orderedS]));
    const order = { ...labels, metric: 'the move ordered', unit: 's' };
    return [
      rowOf(
        { ...labels, metric, unit: 's' },
        own.map(({ movedS }) => movedS ?? cutS),
      ),
      ...(ordered.length === 0 ? [] : [rowOf(order, ordered)]),
      rowOf(
        { ...labels, metric: 'restarts', unit: '1' },
        own.map(({ restarts }) => restarts),
      ),
    ];
  });
}

/** An hour passes in steps of ten seconds; a server in memory changes its answer after the first. */
async function injectedRow(): Promise<Row> {
  const clock = new ShiftedClock(systemClock);
  let address = 1;
  const resolver = new Resolver({
    ...{ clock, random: systemRandom, cache: defaultCacheSettings },
    config: async () => ({
      servers: [{ address: '127.0.0.1', port: 53, transport: 'udp' }],
      ...{ search: [], ndots: 1 },
    }),
    transport: {
      datagram: async (_server, query, judge) => {
        const reply = answerTo(query, address);
        return judge(reply) === 'accept' ? reply : undefined;
      },
      stream: async (_server, query) => answerTo(query, address),
    },
  });
  const question = { name: 'wm.example.test', type: 'A' } as const;
  const ask = async () => {
    const { answer } = await resolver.lookup(question);
    const [record] = answer.kind === 'records' ? answer.records : [];
    return record !== undefined && 'address' in record ? record.address : '';
  };
  await ask();
  address = 2;
  let passedSec = 0;
  while ((await ask()) !== '192.0.2.2' && passedSec < 2 * longTtlSec) {
    clock.skip(10_000);
    passedSec += 10;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const labels = { subject: 'resolver', case: `TTL ${longTtlSec}, injected clock` };
  return rowOf({ ...labels, metric: 'the new answer after', unit: 's' }, [passedSec]);
}

/** One A record of the name that was asked for. */
function answerTo(query: Uint8Array, last: number): Buffer {
  const head = Buffer.from(query.subarray(0, 12));
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(1, 6);
  head.writeUInt16BE(0, 10);
  const end = Buffer.from(query).indexOf(0, 12) + 5;
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, last]);
  record.writeUInt32BE(longTtlSec, 6);
  return Buffer.concat([head, query.subarray(12, end), record]);
}
