/** When a worker of ours shows its files to a master of ours: once for everything that is told by then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FileJobs } from '../../../src/cluster/files/jobs.ts';
import type { Link } from '../../../src/cluster/link.ts';
import type { LocalIntegrity } from '../../../src/cluster/tasks/local-integrity.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { SendingTasks } from '../../../src/cluster/tasks/sending.ts';
import type { CommandName } from '../../../src/cluster/wire/command.ts';
import { IntegrityLoop } from '../../../src/cluster/worker/integrity-loop.ts';
import type { UpdateReceiver } from '../../../src/cluster/worker/update-receiver.ts';
import { HandClock } from '../links.ts';
import { LineLog, until } from '../system/nodes.ts';

/** A master that finds every digest to be its own, or wants to see the files. */
class World {
  permission: 'Same' | 'True' = 'Same';
  asked = 0;
  scans = 0;
  duringScan = (): void => undefined;
  duringAsk = (): void => undefined;
  duringStart = (): void => undefined;
  whenShown = (): void => undefined;
  readonly clock = new HandClock();
  readonly stop = new AbortController();
  #paused = Promise.withResolvers<void>();
  readonly loop: IntegrityLoop;

  constructor() {
    const { clock } = this;
    const pause = clock.after.bind(clock);
    clock.after = (ms, call) => {
      this.#paused.resolve();
      return pause(ms, call);
    };
    this.loop = new IntegrityLoop({
      ...{
        clock,
        jobs: { packManifest } as unknown as FileJobs,
        local: this.#local(),
        link: this.#link(),
      },
      ...{ sending: new SendingTasks(), log: new NodeLog(new LineLog(), 'Worker w') },
      update: { settled: async () => undefined } as UpdateReceiver,
      rules: { everyMs: 9_000, auditMs: 300_000, retryMs: 500 },
      ...{ isNudged: true, showsDigest: true, same: () => undefined, uploadPath: () => '' },
    });
  }

  /** Until nothing more is wanted. */
  async run(): Promise<void> {
    const running = this.loop.run(this.stop.signal);
    await this.paused();
    this.stop.abort(new Error('done'));
    await running;
  }

  /** Until it waits for the clock. */
  async paused(): Promise<void> {
    await this.#paused.promise;
    this.#paused = Promise.withResolvers();
  }

  #local(): LocalIntegrity {
    const refresh = async (): Promise<void> => {
      this.scans += 1;
      this.duringScan();
    };
    return { refresh, report: { generation: 1, digest: 'd' } } as LocalIntegrity;
  }

  #link(): Link {
    const request = async (command: CommandName) => {
      if (command === 'mayCheckIntegrity') {
        this.asked += 1;
        this.duringAsk();
        return { kind: 'ok', payload: Buffer.from(this.permission) };
      }
      if (command === 'integrityStart') this.duringStart();
      if (command === 'integritySent') setImmediate(() => this.whenShown());
      return { kind: 'ok', payload: Buffer.from('task-id') };
    };
    return { request, isOpen: true, flushed: async () => undefined } as unknown as Link;
  }
}

async function* packManifest(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('files');
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

test('a nudge that crosses the question is no answer to the check, which had not begun', async () => {
  const world = new World();
  world.permission = 'True';
  const answers: boolean[] = [];
  world.duringStart = () => {
    world.duringStart = () => undefined;
    answers.push(world.loop.told());
  };
  world.whenShown = () => answers.push(world.loop.told());
  const running = world.loop.run(world.stop.signal);
  await until('both checks are answered', () => answers.length === 3);
  world.stop.abort(new Error('done'));
  await running;
  assert.deepEqual(answers, [false, true, true]);
  assert.equal(world.asked, 2, 'what the nudge told of is shown by another check');
});

test('a check that the master could not finish is made again after the usual time', async () => {
  const world = new World();
  world.permission = 'True';
  const shown = Promise.withResolvers<void>();
  world.whenShown = () => {
    world.loop.failed();
    shown.resolve();
  };
  const running = world.loop.run(world.stop.signal);
  await shown.promise;
  await world.paused();
  world.clock.advance(8_999);
  await new Promise(setImmediate);
  assert.equal(world.asked, 1);
  world.clock.advance(1);
  await until('asked again', () => world.asked === 2);
  world.stop.abort(new Error('done'));
  await running;
});

test('an update that fails after the link has ended keeps nothing alive', async () => {
  const world = new World();
  await world.run();
  world.loop.settle(9_000);
  assert.equal(world.clock.timers, 0);
});
