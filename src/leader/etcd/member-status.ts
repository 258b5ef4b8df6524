/**
 * What one member of etcd says of itself, by `maintenance/status` of the gateway. Pure.
 * Source: etcd.io/docs/v3.4/dev-guide/api_reference_v3, StatusResponse.
 */
import { isJsonObject, type JsonValue } from '../../guards.ts';
import { clusterOf } from './codec.ts';

export interface MemberStatus {
  readonly cluster: string;
  /** `3.4.23`. */
  readonly version: string;
  /** False: this member sees no quorum. */
  readonly hasLeader: boolean;
  readonly dbBytes: number;
  /** What is wrong, in its own words: `memberID:… alarm:NOSPACE`. */
  readonly troubles: readonly string[];
}

/** Undefined: not an answer of etcd. */
export function parseMemberStatus(value: JsonValue | undefined): MemberStatus | undefined {
  if (value === undefined || !isJsonObject(value)) return undefined;
  const cluster = clusterOf(value);
  const { version, leader = '0', dbSize = '0', errors = [] } = value;
  if (cluster === undefined || typeof version !== 'string') return undefined;
  if (!/^\d+\.\d+\.\d+[\w.+-]{0,32}$/.test(version)) return undefined;
  const told = Array.isArray(errors) ? (errors as readonly JsonValue[]) : [];
  return {
    cluster,
    version,
    hasLeader: typeof leader === 'string' && leader !== '0' && leader !== '',
    dbBytes: typeof dbSize === 'string' && /^\d{1,15}$/.test(dbSize) ? Number(dbSize) : 0,
    troubles: told.slice(0, 4).map((one) => `${one}`.replace(/\p{Cc}+/gu, ' ').slice(0, 120)),
  };
}
