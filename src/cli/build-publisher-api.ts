/** The API of a running publisher from real parts; its tokens and its audit log for the commands too. */
import { join, resolve } from 'node:path';
import { ConfigError } from '../errors.ts';
import type { Health } from '../health/judge.ts';
import { followTokens } from '../host/api-token-file.ts';
import { openAudit } from '../host/audit-database.ts';
import { openPublisherFolder } from '../host/publisher-folder.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import type { Log } from '../log.ts';
import { parseTokenFile, renderTokenFile, type TokenRecord } from '../publisher/api/token.ts';
import type { ApiWorld } from '../publisher/api/world.ts';
import type { Complaints } from '../publisher/complaints.ts';
import { stableOf } from '../publisher/daemon.ts';
import type { ListService } from '../publisher/list-service.ts';
import { targetOf } from '../publisher/rollout/overview.ts';
import { readConfig } from './build-publisher-office.ts';
import type { ReportOffice } from './build-publisher-reports.ts';
import type { PublisherConfig } from './publisher-config.ts';
import type { AuditLog, PublisherOffice } from './publisher-host.ts';

export interface ApiGround {
  readonly path: string;
  readonly office: PublisherOffice;
  readonly service: ListService;
  readonly complaints: Complaints;
  readonly reports: ReportOffice | undefined;
  readonly log: Log;
  readonly roots: PublisherOffice['roots'];
  readonly config: PublisherConfig;
  readonly healths?: () => ReadonlyMap<string, Health>;
}

/** Undefined where `api.enabled` is off. Throws HostError `store_failed` for the audit log. */
export function openApi(
  ground: ApiGround,
): { readonly world: ApiWorld; close(): void } | undefined {
  if (!ground.config.api.enabled) return undefined;
  const { path, office, service, complaints, reports, log } = ground;
  const { files } = ground.config;
  const { history } = office;
  const audit = openAudit(resolve(path, files.audit));
  const world: ApiWorld = {
    ...{ clock, log, history, audit },
    tokens: followTokens(resolve(path, files.tokens), clock, complaints),
    desk: () => ({ ...office.desk, root: ground.roots.newest.root }),
    configured: () => ground.config.configured,
    serveNewest() {
      const newest = history.newest();
      if (newest !== undefined) service.serve(newest, stableOf(history, newest, clock.nowMs()));
    },
    rows: () => reports?.book.rows() ?? [],
    agents: () => reports?.book.size() ?? 0,
    target() {
      const newest = history.newest();
      if (newest === undefined) return undefined;
      const { rollout } = newest;
      return targetOf(newest, rollout && history.find(rollout.stableVersion));
    },
    healths: () => ground.healths?.() ?? new Map(),
    complaints: () => complaints.list(),
  };
  return { world, close: () => audit.close() };
}

type TokenChange = (tokens: readonly TokenRecord[]) => readonly TokenRecord[];

/** Throws ConfigError when the file is damaged: what it held is not overwritten. */
export async function changeApiTokens(
  path: string,
  change: TokenChange | undefined,
): Promise<readonly TokenRecord[]> {
  const folder = openPublisherFolder(path);
  const { files } = await readConfig(folder);
  const text = await folder.read(files.tokens);
  const tokens = text === undefined ? [] : parseTokenFile(text);
  if (tokens === undefined) {
    const seen = `${join(path, files.tokens)} is damaged; remove it and make new tokens`;
    throw new ConfigError('config_unreadable', seen);
  }
  if (change === undefined) return tokens;
  const changed = change(tokens);
  await folder.write(files.tokens, renderTokenFile(changed));
  return changed;
}

export async function withAuditLog<Value>(
  path: string,
  work: (log: AuditLog) => Value,
): Promise<Value> {
  const { files } = await readConfig(openPublisherFolder(path));
  const log = openAudit(resolve(path, files.audit));
  try {
    return work(log);
  } finally {
    log.close();
  }
}
