/**
 * Seeded rollouts with random faults; every invariant must hold in every one. Most good lists are taken
 * back under these faults, rightly: a third of the agents falls silent, vanishes or fares badly while a
 * wave is judged. Without faults none is.
 */
import { parseArgs } from 'node:util';
import { runRollout } from '../../src/simulation/rollout-world.ts';
import { rolloutRun } from '../rollout/runs.ts';

export const campaign = {
  name: 'rollout',
  summary: 'seeded rollouts of good and bad lists with faults against their invariants',
  usage: 'rollout [--short] [--seed N] [--seeds M]   (default: 1000 rollouts)',

  async run(args: readonly string[], print: (line: string) => void): Promise<number> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        short: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        seeds: { type: 'string' },
      },
    });
    const count = Number(values.seeds ?? (values.short ? '40' : '1000'));
    const ends: Record<string, number> = {};
    const first = Number(values.seed);
    for (let seed = first; seed < first + count; seed += 1) {
      const isBad = seed % 2 === 0;
      const run = await rolloutRun({ isBad, agents: 40 + (seed % 7) * 40, hasFaults: true });
      const outcome = await runRollout(seed, run);
      const [worst] = outcome.violations;
      if (worst !== undefined) {
        print(`seed ${seed}: rule ${worst.rule}: ${worst.text} (${outcome.end}: ${outcome.why})`);
        return 1;
      }
      const name = `${isBad ? 'bad' : 'good'} ${outcome.end}`;
      ends[name] = (ends[name] ?? 0) + 1;
    }
    const told = Object.entries(ends)
      .sort()
      .map(([name, n]) => `${n} ${name}`);
    print(`${count} rollouts, no invariant broken: ${told.join(', ')}`);
    return 0;
  },
};
