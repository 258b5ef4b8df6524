/** When a worker of ours shows its files to a master of ours: once for everything that is told by then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FileJobs } from '../../../src/cluster/files/jobs.ts';
import type { Link } from '../../../src/cluster/link.ts';
import type { LocalIntegrity } from '../../../src/cluster/tasks/local-integrity.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { SendingTasks } from '../../../src/cluster/tasks/sending.ts';
import { IntegrityLoop } from '../../../src/cluster/worker/integrity-loop.ts';
import type { UpdateReceiver } from '../../../src/cluster/worker/update-receiver.ts';
import { HandClock } from '../links.ts';
import { LineLog } from '../system/nodes.ts';

/** A master that finds every digest to be its own. */
class World {
  asked = 0;
  scans = 0;
  duringScan = (): void => undefined;
  duringAsk = (): void => undefined;
  readonly stop = new AbortController();
  readonly #paused = Promise.withResolvers<void>();
  readonly loop: IntegrityLoop;

  constructor() {
    const clock = new HandClock();
    const pause = clock.after.bind(clock);
    clock.after = (ms, call) => {
      this.#paused.resolve();
      return pause(ms, call);
    };
    this.loop = new IntegrityLoop({
      ...{ clock, jobs: {} as FileJobs, local: this.#local(), link: this.#link() },
      ...{ sending: new SendingTasks(), log: new NodeLog(new LineLog(), 'Worker w') },
      update: { settled: async () => undefined } as UpdateReceiver,
      rules: { everyMs: 9_000, auditMs: 300_000, retryMs: 500 },
      ...{ isNudged: true, showsDigest: true, same: () => undefined, uploadPath: () => '' },
    });
  }

  /** Until nothing more is wanted. */
  async run(): Promise<void> {
    const running = this.loop.run(this.stop.signal);
    await this.#paused.promise;
    this.stop.abort(new Error('done'));
    await running;
  }

  #local(): LocalIntegrity {
    const refresh = async (): Promise<void> => {
      this.scans += 1;
      this.duringScan();
    };
    return { refresh, report: { generation: 1, digest: 'd' } } as LocalIntegrity;
  }

  #link(): Link {
    const request = async () => {
      this.asked += 1;
      this.duringAsk();
      return { kind: 'ok', payload: Buffer.from('Same') };
    };
    return { request, isOpen: true } as unknown as Link;
  }
}

test('what is told while the files are scanned for a check is seen by it and asks for no other', async () => {
  const world = new World();
  world.duringScan = () => {
    world.duringScan = () => undefined;
    world.loop.scanned(1);
    world.loop.told();
  };
  await world.run();
  assert.deepEqual([world.scans, world.asked], [1, 1]);
});

test('what is told while the master is asked is shown by another check', async () => {
  const world = new World();
  world.duringAsk = () => {
    world.duringAsk = () => undefined;
    world.loop.told();
  };
  await world.run();
  assert.deepEqual([world.scans, world.asked], [2, 2]);
});
