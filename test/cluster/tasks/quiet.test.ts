import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeLog, seconds } from '../../../src/cluster/tasks/node-log.ts';
import { Quiet } from '../../../src/cluster/tasks/quiet.ts';
import { renderLine } from '../../../src/host/cluster-log-file.ts';
import { HandClock } from '../links.ts';

test('a hostile peer gets one line a minute, with the number of those not said', () => {
  const clock = new HandClock();
  const quiet = new Quiet(clock);
  assert.equal(quiet.ask('10.0.0.9'), 0);
  for (let turn = 0; turn < 500; turn++) assert.equal(quiet.ask('10.0.0.9'), undefined);
  assert.equal(quiet.ask('10.0.0.8'), 0);
  clock.advance(60_000);
  assert.equal(quiet.ask('10.0.0.9'), 500);
});

test('sources without end share one line', () => {
  const quiet = new Quiet(new HandClock());
  const said = Array.from({ length: 5_000 }, (_, index) => quiet.ask(`s${index}`));
  assert.ok(said.filter((unsaid) => unsaid !== undefined).length <= 1_025);
});

test('a line of cluster.log is one line, whatever a peer wrote into it', () => {
  const message = 'bad\n2026/01/01 00:00:00 INFO: [Master] [Main] forged\u001b[2J';
  const line = renderLine({ level: 'ERROR', tag: 'Worker', subTag: 'Main', message });
  assert.ok(!/\p{Cc}/u.test(line));
  assert.ok(line.startsWith('ERROR: [Worker] [Main] bad\\x0a2026'));
});

test('log lines carry tag, sub-tag and stock seconds, and are cut', () => {
  const lines: string[] = [];
  const log = new NodeLog({ line: (line) => void lines.push(renderLine(line)) }, 'Master');
  log.at('Local integrity').info(`Finished in ${seconds(45.4)}s.`);
  log.error('x'.repeat(100_000));
  assert.equal(lines[0], 'INFO: [Master] [Local integrity] Finished in 0.045s.');
  assert.ok((lines[1]?.length ?? 0) < 9_000);
});
