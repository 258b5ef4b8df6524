/** `cluster_control -fs` over whole nodes: which node lacked which file, from the node's own book. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildLocalClient } from '../../../src/cli/build-control.ts';
import { runControl } from '../../../src/cli/control-command.ts';
import type { Outcome } from '../../../src/cli/run-command.ts';
import { Home, startMaster, startWorker, until } from './nodes.ts';

test('a file that a worker lacked is told with its node, from either node', async (t) => {
  const homes = { m: new Home(t), w: new Home(t) };
  const more = { database: 'embedded' } as const;
  const cluster = {
    intervals: {
      master: { recalculate_integrity: 0.3 },
      worker: { sync_integrity: 0.3, connection_retry: 0.3 },
    },
  };
  const master = await startMaster(t, homes.m, { more, cluster });
  const worker = startWorker(t, homes.w, { name: 'w', port: master.port, more, cluster });
  await until('it is connected', () => worker.role.status().isConnected);

  homes.m.write('etc/rules/new_rules.xml', '<group/>');

  const look = async (at: 'm' | 'w', ...words: string[]): Promise<string> => {
    const outcome: Outcome = { exit: 0 };
    let told = '';
    const out = (text: string): void => {
      told += text;
    };
    await runControl(words, {
      terminal: { out, err: out, isTty: false, noColor: true, columns: 200 },
      outcome,
      host: { client: () => buildLocalClient(homes[at].path), sleep: async () => undefined },
      signals: () => assert.fail('nothing is watched'),
    });
    return `${outcome.exit} ${told}`;
  };
  const isHealed = /\nw\s+etc\/rules\/new_rules\.xml\s+synchronized\s+\d{4}-/;
  let told = '';
  for (let turn = 0; turn < 100 && !isHealed.test(told); turn++) {
    told = await look('m', '-fs');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }

  assert.match(told, /^0 NODE\s+FILE\s+STATE\s+SINCE\s+REASON\s+\n/);
  assert.match(told, isHealed);
  assert.match(
    await look('w', '-fs', 'synchronized', '--json'),
    /"file": "etc\/rules\/new_rules.xml"/,
  );
  assert.match(await look('w', '-l', 'etc/rules/new_rules.xml'), isHealed);
  assert.doesNotMatch(await look('m', '-fs', 'failed', '-fn', 'w'), /new_rules/);
});
