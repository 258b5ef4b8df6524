/** What travels between the halves besides lists: a file to bring back, and what the applier knows. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { apply } from '../../src/applier/apply.ts';
import { applierAlarms, readApplierReport } from '../../src/applier/report.ts';
import { encodeApplyRequest, restoreRequest } from '../../src/applier/request.ts';
import { applySpool } from '../../src/applier/spool.ts';
import { HostError } from '../../src/errors.ts';
import {
  openSpool,
  readReport,
  readSharedMemory,
  sharedMemory,
  submitRequest,
  withdrawRequest,
} from '../../src/host/spool-directory.ts';
import { configOf, HostInMemory, names, request } from './host-in-memory.ts';

function temporary(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'pf-spool-'));
  context.after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 9 }));
  return directory;
}

async function askToRestore(context: TestContext, host: HostInMemory) {
  const [spool, results] = [temporary(context), temporary(context)];
  const asked = await submitRequest(spool, restoreRequest);
  await applySpool(host.world(), openSpool(spool, results));
  return (await readReport(results, asked))?.result;
}

test('a missing ossec.conf is put back for whoever asks, with the owner it had', async (context) => {
  const host = await HostInMemory.make();
  await apply(host.world(), request({ move: false }));
  host.missing = true;
  const result = await askToRestore(context, host);
  assert.deepEqual([result?.outcome, host.missing], ['restored', false]);
  assert.equal(host.config.toString(), configOf('10.0.0.1'));
  assert.notEqual(host.createdFor, undefined);
});

test('a file that is there stays as it is, whoever asks and however often', async (context) => {
  const host = await HostInMemory.make();
  await apply(host.world(), request({ move: false }));
  const before = host.config.toString();
  for (const _ of names) {
    assert.equal((await askToRestore(context, host))?.outcome, 'unchanged');
  }
  assert.deepEqual([host.config.toString(), host.steps.length], [before, 0]);
});

test('where nothing was ever written the answer is a refusal, and no file appears', async (context) => {
  const host = await HostInMemory.make();
  host.missing = true;
  const result = await askToRestore(context, host);
  assert.notEqual(result?.outcome, 'restored');
  assert.equal(host.missing, true);
});

test('drift is seen through the copy of the memory that the other half may read', async (context) => {
  const results = temporary(context);
  const host = await HostInMemory.make();
  const world = host.world();
  const shared = { ...world, memory: sharedMemory(world.memory, results) };
  assert.equal(await readSharedMemory(results), undefined);
  await apply(shared, request({ move: false }));
  assert.equal(statSync(join(results, 'memory.json')).mode & 0o777, 0o644);
  const seen = {
    ...world,
    memory: { read: () => readSharedMemory(results), write: () => assert.fail('reads only') },
  };
  assert.deepEqual((await readApplierReport(seen))?.drift, { kind: 'none' });
  host.config = Buffer.from(configOf('10.9.9.9'));
  const report = await readApplierReport(seen);
  assert.ok(report);
  assert.match(applierAlarms(report, host.settings)[0]?.text ?? '', /E505 drift.*10\.9\.9\.9/);
});

test('a copy that cannot be written costs nothing; a memory that cannot be is told', async (context) => {
  const results = temporary(context);
  const outside = join(temporary(context), 'outside');
  writeFileSync(outside, 'mine');
  symlinkSync(outside, join(results, 'memory.json.new'));
  const host = await HostInMemory.make();
  const { memory } = host.world();
  await sharedMemory(memory, join(outside, 'below')).write(Buffer.from('x'));
  assert.equal(Buffer.from((await memory.read()) ?? '').toString(), 'x');
  await sharedMemory(memory, results).write(Buffer.from('y'));
  assert.equal((await readSharedMemory(results))?.toString(), 'y');
  assert.equal(statSync(outside).size, 4);
  const full = {
    read: () => memory.read(),
    write: () => Promise.reject(new HostError('write_failed', 'no space')),
  };
  await assert.rejects(sharedMemory(full, results).write(Buffer.from('z')), /no space/);
  assert.equal((await readSharedMemory(results))?.toString(), 'y');
});

test('a request that cannot be taken back is a fault with a code, not the end of the sidecar', async (context) => {
  const noFolder = join(temporary(context), 'file');
  writeFileSync(noFolder, '');
  await assert.rejects(withdrawRequest(noFolder), { reason: 'write_failed' });
});

test('a result that no disk takes has its request carried out once, not again and again', async (context) => {
  const [directory, results] = [temporary(context), temporary(context)];
  const host = await HostInMemory.make();
  await submitRequest(directory, encodeApplyRequest(request({ renew: true, urgent: true })));
  const report = () => Promise.reject(new HostError('write_failed', 'no space left'));
  const spool = { ...openSpool(directory, results), report };
  await assert.rejects(applySpool(host.world(), spool), { reason: 'write_failed' });
  const { pid } = host;
  assert.equal(pid, 101);
  assert.deepEqual(await applySpool(host.world(), spool), []);
  assert.equal(host.pid, pid);
});
