/** One history: three contenders, faults as the seed deals them, then fair weather and a verdict. */
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../../src/host/system-clock.ts';
import type { LeaseEngine } from '../../src/leader/engine.ts';
import type { EtcdDoor } from '../../src/leader/etcd/client.ts';
import { Prng } from '../../src/simulation/prng.ts';
import type { EtcdServers } from '../../test/leader/etcd-fixture.ts';
import { Contender } from './contender.ts';
import { FaultyHost, type Weather } from './faulty.ts';
import { judgeHistory, type Told } from './judge.ts';
import { readStoreEvents } from './store-events.ts';

export const ttlMs = 2_000;

export interface Plan {
  readonly seed: number;
  /** How long faults come, milliseconds. */
  readonly faultsMs: number;
  /** A fence that is none, to see that the judge sees it. */
  readonly isBroken: boolean;
}

export interface Verdict {
  readonly wrong: readonly string[];
  readonly writes: number;
  readonly refused: number;
  readonly holders: number;
  /** From the instant at which the holder fell silent to another that leads, milliseconds. */
  readonly takeoverMs: number;
}

const contenders = 3;
const stepMs = 100;

export async function playHistory(servers: EtcdServers, plan: Plan): Promise<Verdict> {
  const prng = new Prng(plan.seed);
  const chance = (): number => prng.next();
  const prefix = `/h${plan.seed}${plan.isBroken ? 'x' : ''}/`;
  const door = servers.door();
  const hosts = Array.from({ length: contenders }, () => new FaultyHost(systemClock, door, chance));
  const all = hosts.map((host, index) => {
    const limits = { clock: host.clock, tryMs: 600, limitMs: 1_200 };
    const engine = servers.engine(`c${index}`, prefix, ttlMs, { door: host.door, ...limits });
    return new Contender(
      `c${index}`,
      plan.isBroken ? unfenced(engine, door, servers, prefix) : engine,
      host.clock,
    );
  });
  const wrong: string[] = [];
  const doors = new Set<Promise<void>>();
  const step = async (tooLate: number): Promise<void> => {
    for (const one of all) {
      const work = one.write(chance() < tooLate).finally(() => doors.delete(work));
      doors.add(work);
    }
    const leading = all.filter((one) => one.isLeading()).map(({ name }) => name);
    if (leading.length > 1) wrong.push(`${leading.join(' and ')} both believe that they lead`);
    await pause(stepMs);
  };
  const takeoverMs = await silenceHolder(all, hosts, step, chance);
  await rage(hosts, step, chance, plan.faultsMs);
  for (const host of hosts) host.set('fair');
  wrong.push(...(await calm(all, step)));
  await Promise.all(doors);
  await Promise.all(all.map((one) => one.end()));
  const events = await readStoreEvents(servers.urls[0] ?? '', prefix);
  const told = all.flatMap((one) => one.told);
  wrong.push(...judgeHistory(events, told));
  door.close();
  const count = (outcome: Told['outcome']) => told.filter((one) => one.outcome === outcome).length;
  return {
    ...{ wrong, takeoverMs, writes: count('written'), refused: count('fenced') },
    holders: events.filter(({ kind }) => kind === 'seat_taken').length,
  };
}

type Step = (tooLate: number) => Promise<void>;

/** The others are well: how long does the seat stay empty? */
async function silenceHolder(
  all: readonly Contender[],
  hosts: readonly FaultyHost[],
  step: Step,
  chance: () => number,
): Promise<number> {
  const holder = await untilOne(all, step, undefined);
  for (let round = 0; round < 10; round += 1) await step(0.2);
  if (!holder.isLeading()) return silenceHolder(all, hosts, step, chance);
  const kinds: readonly Weather[] = ['stopped', 'cut', 'hole'];
  const kind = kinds[Math.floor(chance() * kinds.length)] ?? 'cut';
  hosts[all.indexOf(holder)]?.set(kind);
  const silentAtMs = performance.now();
  const next = await untilOne(all, step, holder);
  hosts[all.indexOf(holder)]?.set('fair');
  return (next.satDownAtMs.at(-1) ?? performance.now()) - silentAtMs;
}

/** A minute is far above anything measured; whoever waits that long waits for ever. */
const patienceMs = 60_000;

async function untilOne(
  all: readonly Contender[],
  step: Step,
  other: Contender | undefined,
): Promise<Contender> {
  const endAtMs = performance.now() + patienceMs;
  while (performance.now() < endAtMs) {
    await step(0.2);
    const found = all.find((one) => one !== other && one.isLeading());
    if (found !== undefined) return found;
  }
  throw new Error('nobody leads');
}

async function rage(
  hosts: readonly FaultyHost[],
  step: Step,
  chance: () => number,
  faultsMs: number,
): Promise<void> {
  const kinds: readonly Weather[] = ['fair', 'stopped', 'stopped', 'cut', 'hole', 'deaf', 'slow'];
  const endAtMs = performance.now() + faultsMs;
  const until = hosts.map(() => 0);
  while (performance.now() < endAtMs) {
    hosts.forEach((host, index) => {
      if (performance.now() < (until[index] ?? 0)) return;
      host.set(kinds[Math.floor(chance() * kinds.length)] ?? 'fair');
      until[index] = performance.now() + 200 + chance() * 1.6 * ttlMs;
    });
    await step(0.3);
  }
}

/** After the storm: one leads, and writes. */
async function calm(all: readonly Contender[], step: Step): Promise<readonly string[]> {
  const before = all.map(({ told }) => told.length);
  const endAtMs = performance.now() + patienceMs;
  while (performance.now() < endAtMs) {
    const isWritten = all.some(({ told }, index) =>
      told.slice(before[index]).some(({ outcome }) => outcome === 'written'),
    );
    if (isWritten) return [];
    await step(0);
  }
  return ['in fair weather nobody writes'];
}

/** What a client that trusts its lease alone would do. */
function unfenced(
  engine: LeaseEngine,
  door: EtcdDoor,
  servers: EtcdServers,
  prefix: string,
): LeaseEngine {
  const key = Buffer.from(`${prefix}state`).toString('base64');
  return {
    ...engine,
    async write(_token, _known, bytes) {
      const value = Buffer.from(bytes).toString('base64');
      const client = servers.client({ door });
      const answer = (await client.call('kv/put', { key, value })) as {
        header: { revision: string };
      };
      return { kind: 'written', revision: Number(answer.header.revision) };
    },
  };
}
