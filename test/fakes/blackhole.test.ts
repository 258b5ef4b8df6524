/** A blackhole swallows packets in both directions and never outlives its maker for long. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Blackhole, canBlackhole, sweepBlackholes } from './blackhole.ts';
import { Stage } from './stage.ts';

const skip = canBlackhole() ?? false;

test('inside a blackhole connections neither open nor end; after it they do', {
  skip,
}, async (context) => {
  const stage = new Stage(context);
  const manager = await stage.manager(stage.a);
  const old = connect(1514, stage.a);
  await once(old, 'connect');
  const seen: string[] = [];
  for (const name of ['end', 'close', 'error']) old.on(name, () => seen.push(name));
  const blackhole = new Blackhole(stage.a);
  context.after(() => blackhole.close());

  blackhole.open();
  await manager.kill();
  const young = connect(1514, stage.a);
  young.on('connect', () => seen.push('young connect'));
  young.on('error', () => seen.push('young error'));
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual(seen, [], 'no FIN, no RST, no answer');

  blackhole.close();
  await once(young, 'error');
  old.destroy();
});

test('rules left behind by a killed process are swept away', { skip }, () => {
  const module = fileURLToPath(new URL('blackhole.ts', import.meta.url));
  const script = `import { Blackhole } from ${JSON.stringify(module)};
    new Blackhole('192.0.2.77').open(); process.kill(process.pid, 'SIGKILL');`;
  const rules = (): string => spawnSync('iptables', ['-S', 'INPUT'], { encoding: 'utf8' }).stdout;

  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
  assert.equal(child.signal, 'SIGKILL');
  assert.match(rules(), /192\.0\.2\.77/);

  sweepBlackholes();
  assert.doesNotMatch(rules(), /192\.0\.2\.77/);
});
