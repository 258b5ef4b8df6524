/** What the commands of `promotion` need, from real parts: the running node is asked through files. */
import { join, resolve } from 'node:path';
import { sleep } from '../clock.ts';
import { ConfigError, HostError, PilotfishError } from '../errors.ts';
import { openClientKeys } from '../host/client-keys-file.ts';
import { RoleBookFiles } from '../host/role-book.ts';
import { hookFault, runStop } from '../host/role-hooks.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import { silentLog } from '../log.ts';
import { judgeFreshness } from '../promotion/judge.ts';
import type { Order, PromotionStatus } from '../promotion/ports.ts';
import { parseRecord } from '../promotion/record.ts';
import { type EngineSeen, type Rehearsal, rehearse } from '../promotion/rehearse.ts';
import { orderLastsMs } from '../promotion/role-orders.ts';
import { prepare, sectionOf } from './build-cluster-host.ts';
import {
  commandsOf,
  openRoleEngine,
  type PromotionGround,
  portFault,
  sealOf,
  settingsOf,
  typeFault,
} from './build-promotion.ts';
import type { PromotionDesk } from './promotion-desk.ts';

/** A node tells once a second. */
const staleMs = 10_000;
const graceMs = 15_000;

export function buildPromotionDesk(): PromotionDesk {
  return {
    async status(directory) {
      await groundOf(directory);
      return readStatus(directory);
    },
    order: giveOrder,
    rehearse: rehearseHere,
    async fence(directory) {
      const { section } = await groundOf(directory);
      return runStop(commandsOf(section));
    },
  };
}

async function groundOf(directory: string): Promise<PromotionGround> {
  const { section, seat } = await sectionOf({ dir: directory });
  const { promotion } = section;
  if (promotion.mode === 'off' || seat === undefined) {
    const path = join(directory, 'publisher.yml');
    throw new ConfigError('config_invalid', `${path}: cluster.promotion.mode is off`);
  }
  const flags = { dir: directory, home: undefined, config: undefined, debugLevel: 0 };
  const { config, home, edition, configPath } = await prepare({ section, seat }, flags);
  if (config.disabled) throw new ConfigError('config_invalid', 'the cluster is disabled');
  const complaints = { begin: () => undefined, end: () => undefined };
  return {
    ...{ ...seat, section: promotion, config, home, edition, configPath, complaints },
    directory: resolve(directory),
    log: silentLog,
  };
}

function readStatus(directory: string): PromotionStatus | undefined {
  const status = new RoleBookFiles(resolve(directory), silentLog).told();
  const ageMs = clock.nowMs() - (status?.writtenAtMs ?? 0);
  return Math.abs(ageMs) > staleMs ? undefined : status;
}

async function giveOrder(directory: string, kind: Order['kind'], force: boolean) {
  await groundOf(directory);
  if (readStatus(directory) === undefined) {
    throw new HostError('not_found', `no node of the cluster runs with ${directory}`);
  }
  const id = Buffer.from(random.bytes(8)).toString('hex');
  new RoleBookFiles(resolve(directory), silentLog).order({ kind, force, id, atMs: clock.nowMs() });
  const endMs = clock.monotonicMs() + orderLastsMs + graceMs;
  while (clock.monotonicMs() < endMs) {
    await sleep(clock, 100);
    const last = readStatus(directory)?.lastOrder;
    if (last?.id !== id || last.outcome === 'pending') continue;
    if (last.outcome === 'refused') throw new HostError('promotion_refused', last.text);
    return last;
  }
  throw new HostError('not_found', 'the node did not take the order: does it still run?');
}

async function rehearseHere(directory: string): Promise<Rehearsal> {
  const ground = await groundOf(directory);
  const { section, config, home, leader } = ground;
  const settings = settingsOf(ground);
  const status = readStatus(directory);
  const engine = await lookAt(ground);
  const record = engine.kind === 'answered' ? engine.record : undefined;
  const { bytes, facts } = await openClientKeys(home, clock).read();
  const commands = commandsOf(section);
  const listed = (['stop', 'start', 'follow'] as const).flatMap((when) =>
    commands[when].map((argv) => ({ when, argv })),
  );
  const hooks = await Promise.all(
    listed.map(async (hook) => ({ ...hook, fault: await hookFault(hook.argv) })),
  );
  return rehearse({
    ...{ settings, engine, status, hooks, hookTimeoutMs: commands.timeoutMs },
    ttlMs: leader.ttl,
    ownToken: new RoleBookFiles(ground.directory, silentLog).read().ownToken,
    freshness: record && judgeFreshness(bytes, facts, record, sealOf(config.key)),
    hasFirewall: section.firewall !== undefined,
    portFault: status?.role === 'master' ? undefined : await portFault(config),
    typeFault: await typeFault(ground),
    nowMs: clock.nowMs(),
  });
}

async function lookAt(ground: PromotionGround): Promise<EngineSeen> {
  const { engine, close } = await openRoleEngine(ground);
  const startedMs = clock.monotonicMs();
  try {
    const { holder, state } = await engine.look(0);
    const record = state && parseRecord(state.bytes);
    const isRecordUnknown = state !== undefined && record === undefined;
    const tookMs = clock.monotonicMs() - startedMs;
    return { kind: 'answered', tookMs, holder: holder?.name, record, isRecordUnknown };
  } catch (thrown) {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    return { kind: 'failed', why: `${thrown.code} ${thrown.reason}: ${thrown.message}` };
  } finally {
    close();
  }
}
