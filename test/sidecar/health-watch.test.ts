import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep } from '../../src/clock.ts';
import type { KeptProbe, ProbeOutcome, Prober, ProbeTarget } from '../../src/health/probe.ts';
import { silentLog } from '../../src/log.ts';
import { buildHealthWatch, type HealthWatch } from '../../src/sidecar/health-watch.ts';
import { CountingRandom, loopbackList, VirtualClock } from './scene.ts';

const alive = (address: string): ProbeOutcome => ({ kind: 'alive', tookMs: 1, ips: [address] });

/** Managers that answer at once, refuse at once, or stay silent for the whole deadline. */
class Managers implements Prober {
  readonly states = new Map<string, 'silent' | 'refused'>();
  readonly asked: { readonly address: string; readonly atMs: number; readonly kept: boolean }[] =
    [];
  readonly closed = new Map<string, () => void>();
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  probe({ address }: ProbeTarget, deadlineMs: number, signal?: AbortSignal) {
    return this.#ask(address, { deadlineMs, signal, kept: false });
  }

  keep({ address }: ProbeTarget, onClosed: () => void): KeptProbe {
    this.closed.set(address, onClosed);
    return {
      ask: (deadlineMs, signal) => this.#ask(address, { deadlineMs, signal, kept: true }),
      close: () => void this.closed.delete(address),
    };
  }

  askedOf(address: string): number {
    return this.asked.filter((one) => one.address === address).length;
  }

  async #ask(
    address: string,
    {
      deadlineMs,
      signal,
      kept,
    }: { deadlineMs: number; signal: AbortSignal | undefined; kept: boolean },
  ): Promise<ProbeOutcome> {
    this.asked.push({ address, atMs: this.#clock.monotonicMs(), kept });
    const state = this.states.get(address);
    if (state === undefined) return alive(address);
    const dead = { kind: 'dead', tookMs: deadlineMs, detail: '', ips: [address] } as const;
    if (state === 'refused') return { ...dead, failure: 'refused' };
    await sleep(this.#clock, deadlineMs, signal);
    return { ...dead, failure: 'silent' };
  }
}

interface Watching {
  readonly clock: VirtualClock;
  readonly managers: Managers;
  readonly watch: HealthWatch;
  readonly changes: { readonly id: string; readonly verdict: string; readonly atMs: number }[];
  end(): Promise<void>;
}

async function watching(inUse: readonly string[], shareMs = 0): Promise<Watching> {
  const clock = new VirtualClock(1_000_000);
  const managers = new Managers(clock);
  const watch = buildHealthWatch({
    clock,
    log: silentLog,
    random: new CountingRandom(),
    prober: managers,
    settings: { rise: 3, fall: 2 },
    deadlineMs: 800,
    inUseMs: 1_000,
    othersMs: 5_000,
  });
  const changes: Watching['changes'] = [];
  watch.onChange((id, { verdict }) => changes.push({ id, verdict, atMs: clock.monotonicMs() }));
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  watch.focus({ inUse: new Set(inUse), shareMs });
  const first = watch.probe(loopbackList().managers);
  await clock.pass(1);
  await first;
  const end = async (): Promise<void> => {
    stop.abort();
    await running;
  };
  return { clock, managers, watch, changes, end };
}

test('the manager in use is asked every second on a kept connection, the others every five', async () => {
  const { clock, managers, end } = await watching(['wm-01']);
  await clock.pass(60_000);
  const own = managers.asked.filter(({ address }) => address === '127.0.0.1');
  assert.ok(own.length >= 55 && own.length <= 67, `${own.length}`);
  assert.ok(own.every(({ kept }) => kept));
  const other = managers.askedOf('127.0.0.2');
  assert.ok(other >= 11 && other <= 15, `${other}`);
  await end();
});

test('a hung manager in use is known within 2 s, a killed one at once', async () => {
  const { clock, managers, changes, end } = await watching(['wm-01']);
  await clock.pass(10_000);
  managers.states.set('127.0.0.1', 'silent');
  const sinceMs = clock.monotonicMs();
  await clock.pass(3_000);
  const hung = changes.find(({ verdict }) => verdict === 'down');
  assert.ok(hung !== undefined && hung.atMs - sinceMs <= 2_000, `${hung?.atMs}`);
  managers.states.delete('127.0.0.1');
  await clock.pass(10_000);
  managers.states.set('127.0.0.1', 'refused');
  const killedAtMs = clock.monotonicMs();
  managers.closed.get('127.0.0.1')?.();
  await clock.pass(1);
  const killed = changes.findLast(({ verdict }) => verdict === 'down');
  assert.equal(killed?.atMs, killedAtMs);
  await end();
});

test('a suspect is asked at once, and the sign shortens the way to the verdict', async () => {
  const { clock, managers, watch, changes, end } = await watching([]);
  await clock.pass(10_000);
  managers.states.set('127.0.0.2', 'silent');
  const sinceMs = clock.monotonicMs();
  watch.suspect('wm-02', 'a broken connection');
  await clock.pass(3_000);
  assert.equal(changes.findLast(({ id }) => id === 'wm-02')?.verdict, 'down');
  assert.ok((changes.at(-1)?.atMs ?? 0) - sinceMs <= 800);
  await end();
});

test('a verdict about to be acted upon is asked for once more, and not while that is under way', async () => {
  const { clock, managers, watch, end } = await watching([], 60_000);
  managers.states.set('127.0.0.2', 'silent');
  watch.suspect('wm-02', 'a broken connection');
  await clock.pass(10_000);
  const before = managers.askedOf('127.0.0.2');
  watch.refresh('wm-02');
  await clock.pass(500);
  watch.refresh('wm-02');
  await clock.pass(1_000);
  assert.equal(managers.askedOf('127.0.0.2'), before + 2);
  watch.refresh('wm-02');
  await clock.pass(100);
  assert.equal(managers.askedOf('127.0.0.2'), before + 2);
  await end();
});

test('a suspect that answers stays up', async () => {
  const { clock, watch, changes, end } = await watching([]);
  const before = changes.length;
  watch.suspect('wm-02', 'a broken connection');
  await clock.pass(3_000);
  assert.equal(changes.length, before);
  await end();
});

test('a manager that closes every kept connection is not asked in a hot loop', async () => {
  const { clock, managers, end } = await watching(['wm-01']);
  for (let round = 0; round < 50; round += 1) {
    managers.closed.get('127.0.0.1')?.();
    await clock.pass(10);
  }
  assert.ok(managers.askedOf('127.0.0.1') <= 4, `${managers.askedOf('127.0.0.1')}`);
  await end();
});

test('however many agents: no manager gets more questions than the list allows', async () => {
  const { clock, managers, end } = await watching(['wm-01'], 30_000);
  await clock.pass(120_000);
  assert.ok(managers.askedOf('127.0.0.1') <= 6, `${managers.askedOf('127.0.0.1')}`);
  await end();
});

test('a dead manager is asked every second for half a minute, then like the others', async () => {
  const { clock, managers, end } = await watching([]);
  managers.states.set('127.0.0.3', 'refused');
  await clock.pass(10_000);
  const early = managers.askedOf('127.0.0.3');
  await clock.pass(60_000);
  const before = managers.askedOf('127.0.0.3');
  await clock.pass(20_000);
  const late = managers.askedOf('127.0.0.3') - before;
  assert.ok(early >= 10, `${early}`);
  assert.ok(late <= 10, `two for each of five rounds, not ${late}`);
  await end();
});

test('a manager that left the list is asked no more', async () => {
  const { clock, managers, watch, end } = await watching([]);
  await watch.probe(loopbackList().managers.slice(0, 2));
  const before = managers.askedOf('127.0.0.3');
  await clock.pass(20_000);
  assert.equal(managers.askedOf('127.0.0.3'), before);
  assert.equal(watch.snapshot().has('wm-03'), false);
  await end();
});

test('one death makes every other manager answer again at once, in a big fleet within its share', async () => {
  for (const shareMs of [0, 20_000]) {
    const { clock, managers, end } = await watching(['wm-01'], shareMs);
    await clock.pass(60_000);
    managers.states.set('127.0.0.1', 'refused');
    managers.closed.get('127.0.0.1')?.();
    const before = managers.askedOf('127.0.0.2');
    await clock.pass(1);
    const atOnce = managers.askedOf('127.0.0.2') - before;
    await clock.pass(shareMs);
    const within = managers.askedOf('127.0.0.2') - before;
    assert.equal(atOnce, shareMs === 0 ? 1 : 0);
    assert.ok(within >= 1 && within <= 3, `${within}`);
    await end();
  }
});
