/** What a caller may ask of the editor, and the bounds it is held to. */
import { ConfigError } from '../errors.ts';
import { isWritable, normalAddress } from './address.ts';
import { isBefore } from './dialect.ts';

export interface WantedServer {
  /** A plain host name, or an IPv4 or IPv6 literal without brackets. */
  readonly address: string;
  readonly port: number;
  /** 5.x knows only tcp and ignores this. */
  readonly protocol: 'tcp' | 'udp';
  readonly maxRetries?: number;
  /** Seconds. */
  readonly retryInterval?: number;
}

/** Native tuning of 4.x, written only when given. Times in seconds. */
export interface Tuning {
  readonly maxRetries?: number;
  readonly retryInterval?: number;
  readonly notifyTime?: number;
  readonly timeReconnect?: number;
}

export interface Retarget {
  /** Managers that left the list, as they may stand in `enrollment/manager_address`. */
  readonly gone: readonly string[];
  /** What replaces them. */
  readonly to: string;
}

export interface EditWish {
  /** In the order a 4.x agent shall try them; a 5.x agent gets the first one only. */
  readonly servers: readonly WantedServer[];
  readonly tuning?: Tuning;
  /** Enrollment is touched only when this is given, and only where it names a gone manager. */
  readonly retargetEnrollment?: Retarget;
  /** As `VERSION.json` or `wazuh-control info -v` gives it. */
  readonly agentVersion?: string;
  /** Hosts the managers' certificates are known to cover; matters under `verification_mode full`. */
  readonly coveredHosts?: readonly string[];
}

/** A server with its tuning settled. */
export interface Target {
  readonly address: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly maxRetries: number | undefined;
  readonly retryInterval: number | undefined;
}

/** Sixteen managers, since each dead one costs time (agent-side.md 2.7), and the relay. */
export const MAX_WANTED_SERVERS = 17;

/** First version whose agents accept retry settings; `interface_index` (4.4.0) is never added. */
const RETRIES_SINCE = [3, 13, 1] as const;

/** Inclusive bounds of tuning values; times in seconds. */
export const tuningBounds = {
  maxRetries: [1, 100],
  retryInterval: [1, 600],
  notifyTime: [5, 600],
  timeReconnect: [15, 3600],
} as const;

/** Targets without duplicates. Throws `ConfigError('config_invalid')` naming what is out of bounds. */
export function settle(wish: EditWish): readonly Target[] {
  checkBounds('tuning', wish.tuning ?? {});
  const knowsRetries = !isBefore(wish.agentVersion, RETRIES_SINCE);
  const targets = new Map<string, Target>();
  for (const [index, server] of wish.servers.entries()) {
    const label = `servers[${index}]`;
    checkServer(label, server);
    const { address, port, protocol } = server;
    const maxRetries = knowsRetries ? (server.maxRetries ?? wish.tuning?.maxRetries) : undefined;
    const retryInterval = knowsRetries
      ? (server.retryInterval ?? wish.tuning?.retryInterval)
      : undefined;
    const key = `${normalAddress(address)} ${port} ${protocol}`;
    if (targets.has(key)) continue;
    targets.set(key, { address, port, protocol, maxRetries, retryInterval });
  }
  if (targets.size < 1 || targets.size > MAX_WANTED_SERVERS) {
    throw invalid(`servers: ${targets.size} given, 1 to ${MAX_WANTED_SERVERS} can be written`);
  }
  checkRetarget(wish.retargetEnrollment);
  return [...targets.values()];
}

function checkServer(label: string, server: WantedServer): void {
  if (!isWritable(server.address)) {
    const seen = JSON.stringify(server.address);
    throw invalid(`${label}.address: ${seen} is no plain host name, IPv4 or IPv6 address`);
  }
  checkBound(`${label}.port`, server.port, [1, 65_535]);
  if (server.protocol !== 'tcp' && server.protocol !== 'udp') {
    throw invalid(`${label}.protocol: ${JSON.stringify(server.protocol)} is neither tcp nor udp`);
  }
  checkBounds(label, server);
}

function checkBounds(label: string, tuning: Tuning): void {
  const { maxRetries, retryInterval, notifyTime, timeReconnect } = tuning;
  checkBound(`${label}.maxRetries`, maxRetries, tuningBounds.maxRetries);
  checkBound(`${label}.retryInterval`, retryInterval, tuningBounds.retryInterval);
  checkBound(`${label}.notifyTime`, notifyTime, tuningBounds.notifyTime);
  checkBound(`${label}.timeReconnect`, timeReconnect, tuningBounds.timeReconnect);
}

function checkBound(
  label: string,
  value: number | undefined,
  [least, most]: readonly [number, number],
): void {
  if (value === undefined) return;
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw invalid(`${label}: ${value} is not a whole number from ${least} to ${most}`);
}

function checkRetarget(retarget: Retarget | undefined): void {
  if (retarget === undefined) return;
  const { gone, to } = retarget;
  if (!isWritable(to)) throw invalid(`retargetEnrollment.to: ${JSON.stringify(to)} is no address`);
  if (!gone.map(normalAddress).includes(normalAddress(to))) return;
  throw invalid(`retargetEnrollment: ${to} is both gone and the new target`);
}

function invalid(message: string): ConfigError {
  return new ConfigError('config_invalid', message);
}
