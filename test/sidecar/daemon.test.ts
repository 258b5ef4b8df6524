import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostError } from '../../src/errors.ts';
import type { ManagerList } from '../../src/list/model.ts';
import { type Log, silentLog } from '../../src/log.ts';
import { Bell } from '../../src/sidecar/bell.ts';
import type { CycleReport } from '../../src/sidecar/cycle.ts';
import { runDaemon } from '../../src/sidecar/daemon.ts';
import { buildHealthWatch } from '../../src/sidecar/health-watch.ts';
import { encodeMemory } from '../../src/sidecar/memory.ts';
import { buildPoller } from '../../src/sidecar/poller.ts';
import type { World } from '../../src/sidecar/world.ts';
import { aManager } from '../list/documents.ts';
import { aResult, honest, joinedMemory, loopbackList, p1, Scene } from './scene.ts';

/** A publisher that holds questions back until it has another list. */
class LongPolled {
  #serving;
  #wake: (() => void)[] = [];
  readonly askedAtMs: number[] = [];

  constructor(scene: Scene, list: ManagerList) {
    this.#serving = honest({ list });
    scene.publishers.behaviours.set(p1, async (question, signal) => {
      const answer = await this.#serving(question, signal);
      if (question.waitMs > 0) this.askedAtMs.push(scene.clock.monotonicMs());
      if (question.waitMs === 0 || answer.kind !== 'unchanged') return answer;
      await new Promise<void>((resolve, reject) => {
        this.#wake.push(resolve);
        scene.clock.after(question.waitMs, resolve);
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
      return this.#serving(question, signal);
    });
  }

  publish(list: ManagerList): void {
    this.#serving = honest({ list });
    for (const wake of this.#wake.splice(0)) wake();
  }
}

function start(scene: Scene, options: { readonly log?: Log; readonly waitMs?: number } = {}) {
  scene.disk.bytes = encodeMemory(joinedMemory({ lastPublisher: p1 }));
  const stop = new AbortController();
  const bell = new Bell();
  const plain = scene.world();
  const poller = buildPoller({
    clock: scene.clock,
    memory: plain.memory,
    trust: plain.trust,
    log: silentLog,
    bell,
    sources: scene.sources(),
    settings: { waitMs: options.waitMs ?? 55_000, intervalMs: undefined },
  });
  const { random } = scene;
  const watch = buildHealthWatch({
    clock: scene.clock,
    log: silentLog,
    random,
    prober: scene.managers,
    settings: { rise: 3, fall: 2 },
    deadlineMs: 800,
    inUseMs: 1_000,
    othersMs: 5_000,
  });
  const log = options.log ?? silentLog;
  const world: World = { ...plain, source: poller, log, health: watch };
  const reports: CycleReport[] = [];
  const onCycle = async (report: CycleReport): Promise<void> => void reports.push(report);
  const running = runDaemon(
    { world, poller, bell, random, watch, lookMs: 1000, calmLookMs: 3000, onCycle },
    stop.signal,
  );
  return { reports, running, stop };
}

/** Time passes in steps, so that work on other threads (signatures) keeps up. */
async function pass(scene: Scene, seconds: number): Promise<void> {
  for (let tenth = 0; tenth < seconds * 10; tenth += 1) await scene.clock.pass(100);
}

test('a new list acts at once although the next probe is far away', async () => {
  const managers = [...loopbackList().managers, aManager('wm-09', { address: '127.0.0.7' })];
  const scene = new Scene(loopbackList({ managers }));
  const publisher = new LongPolled(scene, loopbackList());
  const { running, stop } = start(scene);
  await pass(scene, 5);
  assert.equal(scene.agent.servers.length, 3);
  const before = scene.agent.requests.length;
  publisher.publish(loopbackList({ version: 4212, managers }));
  await pass(scene, 0.5);
  assert.equal(scene.agent.requests.length, before + 1, 'within half a second');
  stop.abort();
  await running;
});

test('a question that is held back does not delay leaving a dead manager', async () => {
  const scene = new Scene();
  new LongPolled(scene, loopbackList());
  const { running, stop } = start(scene);
  await pass(scene, 5);
  const left = scene.agent.connectedTo ?? '';
  scene.managers.dead.add(left);
  await pass(scene, 1.3);
  assert.notEqual(scene.agent.connectedTo, left);
  stop.abort();
  await running;
});

test('a publisher that cannot hold questions back is not asked in a hot loop', async () => {
  const scene = new Scene();
  let asked = 0;
  const serving = honest({ list: loopbackList() });
  scene.publishers.behaviours.set(p1, (question, signal) => {
    if (question.path.startsWith('/v1/list')) asked += 1;
    return serving(question, signal);
  });
  const { running, stop } = start(scene);
  await pass(scene, 60);
  assert.ok(asked <= 5, `${asked} questions in a minute`);
  stop.abort();
  await running;
});

test('a list that a full disk cannot remember is asked for less and less often', async () => {
  const scene = new Scene();
  const first = new LongPolled(scene, loopbackList());
  const { running, stop } = start(scene);
  await pass(scene, 3);
  const before = first.askedAtMs.length;
  scene.disk.write = () => Promise.reject(new HostError('write_failed', 'the disk is full'));
  const latest = loopbackList({ version: 9_000 });
  first.publish(latest);
  await pass(scene, 120);
  const asked = first.askedAtMs.length - before;
  assert.ok(asked <= 12, `${asked} questions in two minutes`);
  stop.abort();
  await running;
});

test('a failure with a code costs its cycle, is told once a minute, and ends by itself', async () => {
  const scene = new Scene();
  new LongPolled(scene, loopbackList());
  const told: string[] = [];
  const log = { ...silentLog, error: (event: string) => void told.push(event) };
  const { running, stop, reports } = start(scene, { log });
  await pass(scene, 3);
  scene.agent.facts = () => {
    throw new HostError('write_failed', 'the disk is full');
  };
  await pass(scene, 10);
  assert.deepEqual(told, ['cycle.failed']);
  const count = reports.length;
  Reflect.deleteProperty(scene.agent, 'facts');
  await pass(scene, 3);
  assert.ok(reports.length > count);
  stop.abort();
  await running;
});

test('an unplanned error ends the daemon and both of its loops', async () => {
  const scene = new Scene();
  new LongPolled(scene, loopbackList());
  const { running } = start(scene);
  const ended = assert.rejects(running, /a bug/);
  await pass(scene, 2);
  scene.agent.facts = () => {
    throw new TypeError('a bug');
  };
  await pass(scene, 3);
  await ended;
});

test('a bell rung before the wait is not lost', async () => {
  const scene = new Scene();
  const bell = new Bell();
  bell.ring();
  await bell.wait(scene.clock, 10_000, new AbortController().signal);
});

test('a second manager that dies while the agent is moved to it is not waited for', async () => {
  const scene = new Scene();
  new LongPolled(scene, loopbackList());
  const { running, stop } = start(scene);
  await pass(scene, 40);
  const { agent, managers } = scene;
  const first = agent.connectedTo ?? '';
  let second = '';
  agent.slow = (request, signal) =>
    new Promise((resolve) => {
      second = agent.addressOf(request.order[0] ?? '');
      managers.dead.add(second);
      agent.connectedTo = undefined;
      signal?.addEventListener('abort', () => resolve(aResult('written')), { once: true });
    });
  managers.dead.add(first);
  await pass(scene, 40);
  const third = agent.connectedTo ?? '';
  assert.ok(third !== '' && third !== first && third !== second, `on '${third}'`);
  assert.equal(agent.requests.at(-1)?.urgent, true);
  stop.abort();
  await running;
});

test('a move whose target lives is left in peace', async () => {
  const scene = new Scene();
  new LongPolled(scene, loopbackList());
  const { running, stop } = start(scene);
  await pass(scene, 5);
  let wasAborted = false;
  scene.agent.slow = (_, signal) =>
    new Promise((resolve) => {
      signal?.addEventListener('abort', () => {
        wasAborted = true;
      });
      scene.clock.after(10_000, () => resolve(aResult('moved')));
    });
  scene.managers.dead.add(scene.agent.connectedTo ?? '');
  await pass(scene, 8);
  assert.equal(scene.agent.slow, undefined);
  assert.equal(wasAborted, false);
  await pass(scene, 5);
  stop.abort();
  await running;
});
