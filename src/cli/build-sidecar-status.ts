/** What the sidecar tells about the applier, in this process or apart from it: status and metrics. */
import { join } from 'node:path';
import { parseMemory } from '../applier/memory.ts';
import { applierAlarms, readApplierReport } from '../applier/report.ts';
import type { ApplierSettings } from '../applier/settings.ts';
import { PilotfishError } from '../errors.ts';
import { openBackupStore } from '../host/backup-store.ts';
import { serveOnLoopback } from '../host/loopback-text.ts';
import { replaceFile } from '../host/sidecar-files.ts';
import { readSharedMemory } from '../host/spool-directory.ts';
import { renderMetrics } from '../sidecar/metrics.ts';
import { type StatusReport, withApplier } from '../sidecar/report.ts';
import { buildApplierWorld } from './build-sidecar-applier.ts';
import type { Rooms } from './build-sidecar-rooms.ts';
import { applierSettingsOf } from './sidecar-config.ts';

/** The status file and the metrics, with what the applier knows. */
export async function publishStatus(rooms: Rooms, plain: StatusReport): Promise<void> {
  const status = await addApplier(rooms, plain);
  await rooms.files.writeStatus(status);
  const { textfile } = rooms.config.metrics;
  if (textfile === undefined) return;
  await replaceFile(textfile, renderMetrics(status, status.applier), 0o644);
}

/** The same on loopback, where a port is configured; without it the sidecar goes on. */
export async function showMetrics(rooms: Rooms, stop: AbortSignal): Promise<void> {
  const { config, files, log } = rooms;
  const { port } = config.metrics;
  if (port === undefined) return;
  const read = async (): Promise<string | undefined> => {
    const status = (await files.readStatus()) as StatusReport | undefined; // our own file
    return status && renderMetrics(status, status.applier);
  };
  const contentType = 'text/plain; version=0.0.4; charset=utf-8';
  try {
    const served = await serveOnLoopback({ port, path: '/metrics', contentType, read });
    stop.addEventListener('abort', () => void served.close(), { once: true });
  } catch (thrown) {
    const { code, message } = planned(thrown);
    log.error('metrics.unavailable', { code, message });
  }
}

async function addApplier(rooms: Rooms, status: StatusReport): Promise<StatusReport> {
  const settings = settingsOf(rooms, { group: status.group, site: status.site });
  const { apart } = rooms;
  const world = buildApplierWorld({
    ...rooms,
    settings,
    probeDeadlineMs: rooms.config.probe.deadline,
  });
  const memory =
    apart === undefined
      ? world.memory
      : { ...world.memory, read: () => readSharedMemory(apart.results) };
  const applier = await readApplierReport({ ...world, memory }).catch(planned);
  if (applier instanceof PilotfishError)
    return withAlarm(status, `${applier.code} ${applier.message}`);
  if (applier === undefined) {
    if (apart !== undefined) return status; // it has not run yet
    return withAlarm(
      status,
      'the applier has lost its state: it refuses every change until `join`',
    );
  }
  return withApplier(status, applier, applierAlarms(applier, settings));
}

function withAlarm(status: StatusReport, text: string): StatusReport {
  return { ...status, alarms: [{ level: 'critical', text }, ...status.alarms] };
}

function planned(thrown: unknown): PilotfishError {
  if (thrown instanceof PilotfishError) return thrown;
  throw thrown;
}

/** Is there something to put back should ossec.conf be missing? */
export async function hasBackup({ applierDirectory, apart }: Rooms): Promise<boolean> {
  if (apart !== undefined) {
    // Its backups are not ours to read; it made one before its first write.
    const shared = await readSharedMemory(apart.results);
    return shared !== undefined && parseMemory(shared).written !== undefined;
  }
  return openBackupStore(join(applierDirectory, 'backups'))
    .read(1)
    .then(
      () => true,
      () => false,
    );
}

export function settingsOf(
  { config, home, hasSystemd }: Rooms,
  audience: { readonly group: string; readonly site: string },
): ApplierSettings {
  return applierSettingsOf(config, { platform: home.platform, hasSystemd }, audience);
}
