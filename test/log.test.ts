import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { buildLog } from '../src/log.ts';
import { scratchDirectory } from './publisher/fixture.ts';

function opened(t: TestContext, path: string): number {
  const fd = openSync(path, 'w');
  t.after(() => closeSync(fd));
  return fd;
}

test('events are lines of JSON, whatever their values hold', (t) => {
  const path = join(scratchDirectory(t), 'log');
  buildLog('info', opened(t, path)).warn('some.event', { text: 'a\n{"level":"error"}' });
  const [line = '', ...rest] = readFileSync(path, 'utf8').split('\n');
  assert.deepEqual(rest, ['']);
  assert.equal(JSON.parse(line).text, 'a\n{"level":"error"}');
});

test('a disk that takes no log stops nothing', {
  skip: process.platform !== 'linux' && 'no /dev/full',
}, (t) => {
  const log = buildLog('info', opened(t, '/dev/full'));
  log.info('first.event');
  log.error('next.event');
});
