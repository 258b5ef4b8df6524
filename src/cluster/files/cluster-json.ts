/**
 * cluster.json: the stock defaults of 4.14 and how an operator overrides them. A whole stock file
 * is accepted as it is; anything less is laid over the defaults, member by member.
 */
import * as z from 'zod';
import { ConfigError } from '../../errors.ts';
import type { Catalogue, ItemKind } from './catalogue.ts';
import { isFileName } from './name.ts';
import { stockCluster } from './stock-cluster.ts';

/** How files travel (`intervals.communication` of cluster.json). */
export interface Communication {
  readonly requestTimeoutMs: number;
  readonly callTimeoutMs: number;
  readonly receivingFileTimeoutMs: number;
  readonly maxZipBytes: number;
  readonly minZipBytes: number;
  /** zlib, 0 to 9. */
  readonly compressLevel: number;
  readonly zipLimitTolerance: number;
}

/** Seconds unless the name says otherwise; the members of cluster.json by their own names. */
export type Intervals = typeof stockCluster.intervals;

export interface ClusterJson {
  readonly catalogue: Catalogue;
  readonly intervals: Pick<Intervals, 'worker' | 'master'>;
  readonly communication: Communication;
  readonly distributedApi: boolean;
}

const permissions = z
  .string()
  .regex(/^0o?[0-7]{3,4}$/, 'permissions look like "0o660"')
  .transform((text) => Number.parseInt(text.replace('o', ''), 8))
  .refine((mode) => (mode & 0o7113) === 0, 'neither executable, set-id nor writable by others');
const item = z.strictObject({
  permissions,
  source: z.enum(['master', 'worker']),
  files: z.array(z.string().min(1)).min(1),
  recursive: z.boolean(),
  restart: z.boolean(),
  remove_subdirs_if_empty: z.boolean(),
  extra_valid: z.boolean(),
  description: z.string(),
});
const names = z.array(z.string().min(1));
const seconds = z.number().positive().max(1_000_000);
const whole = z.number().int().positive().max(1_000_000);
const schema = z.strictObject({
  files: z.object({ excluded_files: names, excluded_extensions: names }).catchall(item),
  intervals: z.strictObject({
    worker: z.strictObject({
      sync_integrity: seconds,
      sync_agent_info: seconds,
      sync_agent_groups: seconds,
      timeout_agent_groups: seconds,
      keep_alive: seconds,
      connection_retry: seconds,
      max_failed_keepalive_attempts: whole,
      agent_groups_mismatch_limit: whole,
    }),
    master: z.strictObject({
      process_pool_size: whole,
      sync_agent_groups: seconds,
      timeout_extra_valid: seconds,
      recalculate_integrity: seconds,
      timeout_agent_info: seconds,
      agent_group_start_delay: seconds,
      check_worker_lastkeepalive: seconds,
      max_allowed_time_without_keepalive: seconds,
      max_locked_integrity_time: seconds,
    }),
    communication: z.strictObject({
      timeout_cluster_request: seconds,
      timeout_dapi_request: seconds,
      timeout_receiving_file: seconds,
      max_zip_size: z.number().int().min(1024),
      min_zip_size: z.number().int().min(1024),
      compress_level: z.number().int().min(0).max(9),
      zip_limit_tolerance: z.number().min(0).max(0.9),
    }),
  }),
  distributed_api: z.strictObject({ enabled: z.boolean() }),
});

/** Folders whose content a root process runs or trusts: never an item kind. */
const forbiddenFolders =
  /^(?:active-response|agentless|api|bin|framework|integrations|lib|queue|ruleset|tmp|wodles)\//i;

/**
 * Lay `overrides` over the stock file, which is that of 4.14 with what `edition` has otherwise.
 * Throws `ConfigError` `config_invalid` naming the member.
 */
export function parseClusterJson(overrides: unknown, edition: unknown = {}): ClusterJson {
  const merged = overlay(overlay(stockCluster, edition), overrides);
  const parsed = schema.safeParse(merged, { jitless: true }); // not worth a compiled parser
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.join('.') ?? '';
    throw new ConfigError('config_invalid', `cluster.json: ${where}: ${issue?.message ?? ''}`);
  }
  const { files, intervals, distributed_api } = parsed.data;
  const { excluded_files, excluded_extensions, ...items } = files;
  const list = Object.entries(items).map(([key, value]) => itemKind(key, value));
  return {
    catalogue: { items: list, excludedNames: excluded_files, excludedEndings: excluded_extensions },
    intervals: { worker: intervals.worker, master: intervals.master },
    communication: communicationOf(intervals.communication),
    distributedApi: distributed_api.enabled,
  };
}

function communicationOf(
  value: z.infer<typeof schema>['intervals']['communication'],
): Communication {
  if (value.min_zip_size > value.max_zip_size) {
    throw new ConfigError('config_invalid', 'cluster.json: min_zip_size is above max_zip_size');
  }
  return {
    requestTimeoutMs: value.timeout_cluster_request * 1000,
    callTimeoutMs: value.timeout_dapi_request * 1000,
    receivingFileTimeoutMs: value.timeout_receiving_file * 1000,
    maxZipBytes: value.max_zip_size,
    minZipBytes: value.min_zip_size,
    compressLevel: value.compress_level,
    zipLimitTolerance: value.zip_limit_tolerance,
  };
}

function itemKind(key: string, value: z.infer<typeof item>): ItemKind {
  if (!key.endsWith('/') || !isFileName(key.slice(0, -1))) {
    throw invalidItem(key, 'is not a relative folder that ends in a slash');
  }
  if (forbiddenFolders.test(key)) throw invalidItem(key, 'is a folder no peer may write to');
  const isAll = value.files.length === 1 && value.files[0] === 'all';
  if (key === 'etc/' && isAll) throw invalidItem(key, 'must name its files one by one');
  const bad = value.files.find((name) => name.includes('/') || !isFileName(name));
  if (bad !== undefined) throw invalidItem(key, `files: ${JSON.stringify(bad)} is no file name`);
  return {
    key,
    permissions: value.permissions,
    source: value.source,
    files: isAll ? 'all' : value.files,
    recursive: value.recursive,
    restart: value.restart,
    removeEmptyFolders: value.remove_subdirs_if_empty,
    extraValid: value.extra_valid,
    description: value.description,
  };
}

function invalidItem(key: string, text: string): ConfigError {
  return new ConfigError('config_invalid', `cluster.json: files: ${JSON.stringify(key)} ${text}`);
}

/** Objects are merged, `null` removes a member, everything else replaces. */
function overlay(under: unknown, over: unknown): unknown {
  if (over === undefined) return under;
  if (!isPlain(under) || !isPlain(over)) return over;
  const merged = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) {
    if (value === null) merged.delete(key);
    else merged.set(key, overlay(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
