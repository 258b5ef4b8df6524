import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runProgram } from '../../src/host/run-program.ts';

test('exit code and both outputs are returned', async () => {
  const result = await runProgram({
    argv: ['/bin/sh', '-c', 'echo out; echo err >&2; exit 3'],
    timeoutMs: 5_000,
  });
  assert.deepEqual(
    [result.exit, result.stdout.toString(), result.stderr.toString()],
    [3, 'out\n', 'err\n'],
  );
});

test('a program over its deadline is killed', async () => {
  const result = await runProgram({ argv: ['/bin/sleep', '60'], timeoutMs: 50 });
  assert.equal(result.timedOut, true);
  assert.equal(result.exit, undefined);
});

test('output beyond the bound is dropped', async () => {
  const argv = ['/bin/sh', '-c', 'head -c 1000000 /dev/zero'];
  const result = await runProgram({ argv, timeoutMs: 5_000, maxOutputBytes: 1_000 });
  assert.equal(result.stdout.length, 1_000);
  assert.equal(result.exit, 0);
});

test('a daemon that keeps our pipe open does not keep us waiting', async () => {
  const argv = ['/bin/sh', '-c', 'sleep 60 & echo started'];
  const startedAt = performance.now();
  const result = await runProgram({ argv, timeoutMs: 50_000 });
  assert.equal(result.exit, 0);
  assert.ok(performance.now() - startedAt < 30_000);
});

test('a program that does not exist is a result, not an exception', async () => {
  const result = await runProgram({ argv: ['/nonexistent/program'], timeoutMs: 1_000 });
  assert.equal(result.startError, 'ENOENT');
});

test('what the kernel refuses in a way that Node does not know is a result as well', async () => {
  // E2BIG stands for ENOMEM, which cannot be had at will: Node throws both out of `spawn`.
  const argv = ['/bin/true', 'x'.repeat(3_000_000)];
  const result = await runProgram({ argv, timeoutMs: 1_000 });
  assert.deepEqual([result.exit, result.startError], [undefined, 'E2BIG']);
});

test('nothing of our environment reaches the program', async () => {
  const result = await runProgram({ argv: ['/usr/bin/env'], timeoutMs: 5_000 });
  assert.deepEqual(result.stdout.toString().trim().split('\n').sort(), [
    'LC_ALL=C',
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
  ]);
});
