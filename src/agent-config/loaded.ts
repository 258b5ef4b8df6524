/** What the readers of `<client>` and `<agent>` fill in, the way the agent fills its own record. */
import type { Element } from './element.ts';

/** How an entry is written: a block, a deprecated single element, or a 4.x block read by 5.x. */
export type EntryForm =
  | 'server'
  | 'manager'
  | 'endpoint'
  | 'server-ip'
  | 'server-hostname'
  | 'client';

export interface LoadedServer {
  /** As the agent stores it: IPv6 expanded, `server-hostname` with a slash behind it. */
  readonly address: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly maxRetries: number;
  /** Seconds. */
  readonly retryInterval: number;
  /** 0 when none is given. */
  readonly interfaceIndex: number;
  readonly form: EntryForm;
  /** The entry itself, and the `<client>` or `<agent>` it belongs to. */
  readonly element: Element;
  readonly section: Element;
}

export type Verification = 'full' | 'certificate' | 'none';

export interface Enrollment {
  readonly enabled: boolean;
  /** As stored; undefined means the servers themselves are asked. */
  readonly managerAddress: string | undefined;
  readonly port: number;
}

export interface Loaded {
  /** Grows entry by entry: a file may hold very many. */
  servers: LoadedServer[];
  enrollment: Enrollment;
  verification: Verification;
  notifyTime: number | undefined;
  timeReconnect: number | undefined;
}

export const DEFAULT_MAX_RETRIES = 5;
export const DEFAULT_RETRY_INTERVAL_SEC = 10;
const DEFAULT_ENROLLMENT_PORT = 1515;

export function emptyLoad(): Loaded {
  return {
    servers: [],
    enrollment: { enabled: true, managerAddress: undefined, port: DEFAULT_ENROLLMENT_PORT },
    verification: 'none',
    notifyTime: undefined,
    timeReconnect: undefined,
  };
}
