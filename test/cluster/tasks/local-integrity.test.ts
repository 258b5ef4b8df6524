/** When this node looks at its own files: once at the start, when told, not twice for one change. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FileJobs, ScanReport } from '../../../src/cluster/files/jobs.ts';
import { LocalIntegrity } from '../../../src/cluster/tasks/local-integrity.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { HandClock } from '../links.ts';
import { LineLog } from '../system/nodes.ts';

const report: ScanReport = {
  ...{ blind: [], hashedFiles: 0, generation: 1, files: 0, present: new Map(), problems: [] },
  ...{ digest: 'd', keysHash: undefined },
};

function play(isAwaited: () => boolean) {
  const clock = new HandClock();
  let scans = 0;
  let tell = (): void => undefined;
  const local = new LocalIntegrity({
    clock,
    jobs: {
      scan: async () => {
        scans += 1;
        return report;
      },
    } as FileJobs,
    watch: {
      watch(changed) {
        tell = changed;
        return { isReliable: true, close: () => undefined };
      },
    },
    log: new NodeLog(new LineLog(), 'Worker'),
    ...{ everyMs: 60_000, auditMs: 300_000, settleMs: 200, isAwaited, onScan: () => undefined },
  });
  const stop = new AbortController();
  return {
    clock,
    local,
    scans: () => scans,
    tell: () => tell(),
    stop,
    run: local.run(stop.signal),
  };
}

test('a change is scanned once it has settled, and many within that time are one', async () => {
  const { clock, local, scans, tell, stop, run } = play(() => false);
  await local.refresh();
  const before = scans();
  for (let change = 0; change < 5; change++) tell();
  clock.advance(200);
  await local.refresh();
  assert.equal(scans() - before, 2); // the one of the changes, and the one asked for here
  stop.abort(new Error('done'));
  await run;
});

test('changes that an awaited scan will see anyway cost none of their own', async () => {
  const { clock, local, scans, tell, stop, run } = play(() => true);
  await local.refresh();
  const before = scans();
  tell();
  clock.advance(200);
  await local.refresh();
  assert.equal(scans() - before, 1);
  stop.abort(new Error('done'));
  await run;
});
