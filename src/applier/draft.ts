/**
 * The file as it should be, next to what it says now. Pure: bytes and a wish in, bytes and the
 * servers of both out; `agent-config` does the editing and proves its own result.
 */
import { dialectOf } from '../agent-config/dialect.ts';
import { planEdit } from '../agent-config/edit.ts';
import { type ConfigReading, readConfig } from '../agent-config/servers.ts';
import type { EditWish } from '../agent-config/wish.ts';
import { sha256Tag } from '../bytes.ts';
import { canonicalAddress } from '../wazuh/connections.ts';
import type { WalkEntry } from './confirm.ts';
import type { WrittenServer } from './result.ts';

export interface Reading {
  /** In the order a 4.x agent tries them; a 5.x agent has one. */
  readonly servers: readonly WrittenServer[];
  readonly walk: readonly WalkEntry[];
  /** `notify_time` as written. */
  readonly notifySec?: number;
  /** False for a file with which no agent can have been running. */
  readonly starts: boolean;
}

export interface Draft {
  readonly changed: boolean;
  readonly bytes: Uint8Array;
  /** `sha256:` tag of `bytes`. */
  readonly hash: string;
  readonly before: Reading;
  readonly after: Reading;
}

/** Throws AgentError `config_unparseable` or `config_not_editable`; nothing is changed then. */
export function draftConfig(
  bytes: Uint8Array,
  agentVersion: string | undefined,
  wish: (present: readonly string[]) => EditWish,
): Draft {
  const before = readServers(bytes, agentVersion);
  const present = before.servers.map(({ address }) => address);
  const plan = planEdit(bytes, dialectOf(agentVersion), wish(present));
  const after = plan.kind === 'changed' ? plan.bytes : bytes;
  return {
    changed: plan.kind === 'changed',
    bytes: after,
    hash: sha256Tag(after),
    before,
    after: readServers(after, agentVersion),
  };
}

/** What an agent of this version would load; empty for a file it could not load. */
export function readServers(bytes: Uint8Array, agentVersion: string | undefined): Reading {
  const dialect = dialectOf(agentVersion);
  const reading = readConfig(bytes, dialect);
  if (reading.kind === 'refused') return { servers: [], walk: [], starts: false };
  const loaded = effectiveOf(reading, dialect === '4' ? Number.POSITIVE_INFINITY : 1);
  return {
    servers: loaded.map(({ address, port }) => ({ address: canonicalAddress(address), port })),
    walk: loaded.map(({ maxRetries, retryInterval }) => ({ maxRetries, retryInterval })),
    ...(reading.notifyTime === undefined ? {} : { notifySec: reading.notifyTime }),
    starts: reading.kind === 'starts',
  };
}

function effectiveOf(reading: Exclude<ConfigReading, { kind: 'refused' }>, count: number) {
  return reading.servers.slice(0, count);
}
