/** The sidecar's end of the spool: what it asks of an applier that runs as another user. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { applySpool } from '../../src/applier/spool.ts';
import { buildSpoolApplier } from '../../src/cli/build-sidecar-applier.ts';
import { openSpool } from '../../src/host/spool-directory.ts';
import { addressOf, configOf, HostInMemory, names, request } from '../applier/host-in-memory.ts';

function temporary(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'pf-spool-'));
  context.after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 9 }));
  return directory;
}

test('an order that nobody waits for any more moves no agent later', async (context) => {
  const [spool, results] = [temporary(context), temporary(context)];
  const asking = buildSpoolApplier({ spool, results, timeoutMs: 0 });
  const order = [...names].reverse();
  await assert.rejects(asking.apply(request({ order, urgent: true })), /does the applier run/);
  await assert.rejects(asking.restoreNewest(), /does the applier run/);
  assert.deepEqual(readdirSync(spool), []);
  // Hours later the agent is well, at a listed manager, and somebody starts the applier.
  const host = await HostInMemory.make({}, configOf(...names.map(addressOf)));
  await applySpool(host.world(), openSpool(spool, results));
  assert.deepEqual([host.connectedTo, host.steps], [addressOf('wm-01'), []]);
});
