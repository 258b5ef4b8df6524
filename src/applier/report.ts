/**
 * Where the applier stands, for `status`, `check` and metrics: does the file still say what was
 * written, who fights with us, what was spent. Reads only, takes no lock.
 */
import { forgetOld, type Restart } from './budget.ts';
import { type Drift, judgeDrift } from './drift.ts';
import { type ApplierMemory, readMemory } from './memory.ts';
import type { ApplierSettings } from './settings.ts';
import type { ApplierWorld } from './world.ts';

export interface ApplierReport {
  /** Absent while the file cannot be read. */
  readonly drift?: Drift;
  /** How often somebody changed our entries, last 24 hours. */
  readonly foreignEdits: number;
  /** An operator's `restore` holds the list back. */
  readonly isRestored: boolean;
  /** A move was interrupted, or the agent did not come back. */
  readonly isUnfinished: boolean;
  readonly restarts: {
    readonly lastHour: number;
    readonly lastDay: number;
    readonly urgentLastHour: number;
    /** File integrity monitoring was blind because of us, last 24 hours. */
    readonly blindMs: number;
  };
}

export interface ApplierAlarm {
  readonly level: 'warning' | 'critical';
  readonly text: string;
}

/** Undefined before the first join. Throws HostError `state_unreadable`. */
export async function readApplierReport(
  world: Pick<ApplierWorld, 'memory' | 'file' | 'agent' | 'clock'>,
): Promise<ApplierReport | undefined> {
  if ((await world.memory.read()) === undefined) return undefined;
  const memory = await readMemory(world.memory);
  const { version } = await world.agent.readFacts();
  const config = await world.file.read().catch(() => undefined); // `status` tells why elsewhere
  const drift =
    config === undefined ? undefined : judgeDrift(memory.written, config.bytes, version);
  return { ...standingOf(memory, world.clock.nowMs()), ...(drift === undefined ? {} : { drift }) };
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Pure: the report without the file. */
export function standingOf(memory: ApplierMemory, nowMs: number): Omit<ApplierReport, 'drift'> {
  const day = forgetOld(memory.restarts, nowMs);
  const hour = day.filter(({ atMs }) => atMs > nowMs - hourMs);
  const count = (restarts: readonly Restart[], urgent: boolean): number =>
    restarts.filter((restart) => (restart.urgent ?? false) === urgent).length;
  return {
    foreignEdits: memory.foreign.revertsAtMs.filter((atMs) => atMs > nowMs - dayMs).length,
    isRestored: memory.restoredAt !== undefined,
    isUnfinished: memory.unfinishedSinceMs !== undefined,
    restarts: {
      lastHour: count(hour, false),
      lastDay: count(day, false),
      urgentLastHour: count(hour, true),
      blindMs: day.reduce((total, { blindMs }) => total + blindMs, 0),
    },
  };
}

/** Pure: what somebody should look at. `critical` is 2 in `check`, `warning` 1. */
export function applierAlarms(
  report: ApplierReport,
  settings: Pick<ApplierSettings, 'alarmAfterReverts'>,
): readonly ApplierAlarm[] {
  const { drift, foreignEdits } = report;
  const alarms: ApplierAlarm[] = [];
  const add = (level: ApplierAlarm['level'], text: string): void =>
    void alarms.push({ level, text });
  if (report.isRestored) add('warning', 'restored by an operator: held until `pilotfish resume`');
  if (report.isUnfinished) add('warning', 'a move of the agent is not finished');
  const isOurs = drift?.kind !== 'servers' || report.isRestored;
  if (!isOurs)
    add('warning', `E505 drift: ossec.conf names ${addresses(drift)}, not what was written`);
  if (foreignEdits >= settings.alarmAfterReverts) {
    add('critical', `E505 somebody changed the server entries ${foreignEdits} times in a day`);
  }
  return alarms;
}

function addresses({ present }: Extract<Drift, { kind: 'servers' }>): string {
  return present.map(({ address }) => address).join(', ') || 'no manager';
}
