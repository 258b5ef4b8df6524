/**
 * Is a key of an agent ever lost, an id given twice, or are there two masters? Histories in virtual
 * time with the real keeper of the role: processes that are killed, stand still and go on, ways to
 * the engine that are cut, an engine without a majority, enrolments all the while.
 */
import { parseArgs } from 'node:util';
import { playHistory } from '../promotion/history.ts';

export const campaign = {
  name: 'promotion',
  summary: 'masters that die, stop and come back during enrolments: no key lost, no id twice',
  usage: 'promotion [--histories N] [--steps N] [--short] [--seed N]',

  /** Exit code 0 when every history is right and a broken one is found, else 1. */
  async run(args: readonly string[], print: (line: string) => void): Promise<number> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        histories: { type: 'string' },
        steps: { type: 'string', default: '600' },
        short: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
      },
    });
    const count = Number(values.histories ?? (values.short ? 12 : 1_000));
    const steps = Number(values.steps);
    const totals = { wrong: 0, masters: 0, acknowledged: 0, strays: 0, found: 0 };
    // A master that tells before the key is on record: a judge that finds nothing there is none.
    const broken = Math.max(4, Math.floor(count / 20));
    for (let index = 0; index < count + broken; index += 1) {
      const isBroken = index >= count;
      const seed = Number(values.seed) + (isBroken ? index - count : index);
      const verdict = await playHistory({ seed, steps, isBroken });
      if (isBroken) {
        totals.found += verdict.wrong.length > 0 ? 1 : 0;
        continue;
      }
      for (const line of verdict.wrong) print(`seed ${seed}: ${line}`);
      totals.wrong += verdict.wrong.length;
      totals.masters += verdict.masters;
      totals.acknowledged += verdict.acknowledged;
      totals.strays += verdict.strays;
    }
    print(`${count} histories, ${totals.masters} masters, ${totals.wrong} wrong`);
    print(`${totals.acknowledged} enrolments acknowledged, ${totals.strays} stray keys named`);
    print(`a master that tells too early is found in ${totals.found} of ${broken} histories`);
    return totals.wrong === 0 && totals.found > 0 ? 0 : 1;
  },
};
