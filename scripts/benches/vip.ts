/**
 * A virtual IP moves from one node to another: how long the agent is away, natively and with
 * Pilotfish, all of them at the same move. Clean (keepalived is stopped), unclean (the host is off
 * the network), and unclean with a new node that drops what it does not know instead of refusing it.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Bench, type Row, rowOf } from '../bench.ts';
import { playInNamespace } from '../bench-peers/namespace-play.ts';
import { missingForVip } from '../vip/network.ts';
import type { PlayResult } from '../vip/play.ts';

const playPath = fileURLToPath(new URL('../vip/play.ts', import.meta.url));

export const bench: Bench = {
  name: 'vip',
  summary: 'agent-away time when a keepalived VIP moves: native and Pilotfish at the same move',
  async run(args, note) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        moves: { type: 'string', default: 'clean,unclean,silent' },
        runs: { type: 'string', default: '3' },
        cut: { type: 'string', default: '120' },
      },
    });
    const missing = missingForVip();
    if (missing !== undefined) {
      note(`left out: ${missing}`);
      return [];
    }
    const results: PlayResult[] = [];
    for (const move of values.moves.split(',')) {
      for (let run = 0; run < Number(values.runs); run += 1) {
        results.push(...(await play(['--move', move, '--cut', values.cut], note)));
      }
    }
    return rowsOf(results, Number(values.cut));
  },
};

/** In a network namespace of its own. */
export function play(
  args: readonly string[],
  note: (line: string) => void,
): Promise<readonly PlayResult[]> {
  return playInNamespace({ program: playPath, args }, note);
}

function rowsOf(results: readonly PlayResult[], cutS: number): readonly Row[] {
  const keys = [...new Set(results.map(({ move, subject }) => `${move} ${subject}`))];
  return keys.flatMap((key) => {
    const [move = '', subject = ''] = key.split(' ');
    const own = results.filter((one) => one.move === move && one.subject === subject);
    const labels = { subject: subject === 'native' ? subject : `pilotfish-${subject}`, case: move };
    const isCut = own.some(({ awayS }) => awayS === undefined);
    const metric = isCut ? 'agent away, at least' : 'agent away';
    return [
      rowOf(
        { ...labels, metric, unit: 's' },
        own.map(({ awayS }) => awayS ?? cutS),
      ),
      rowOf(
        { ...labels, metric: 'restarts', unit: '1' },
        own.map(({ restarts }) => restarts),
      ),
    ];
  });
}
