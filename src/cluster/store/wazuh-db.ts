/**
 * The store of agents and groups: wazuh-db's own interface in both its forms. Behind it stands the
 * real one (unix sockets) or ours on SQLite; whoever uses it cannot tell which.
 */
import { HostError } from '../../errors.ts';
import { type Fault, fault, faultText } from '../wire/fault.ts';

/** `due`: there is more, ask again. */
export type WdbStatus = 'ok' | 'due' | 'err';

/** `payload` of `err` is its message; empty when the answer is one word. */
export interface WdbAnswer {
  readonly status: WdbStatus;
  readonly payload: string;
}

export interface WdbRequest {
  readonly method: 'GET' | 'POST';
  /** Such as `/v1/agents/sync`. */
  readonly path: string;
  readonly body?: Uint8Array;
}

export interface WdbResponse {
  /** HTTP status. */
  readonly status: number;
  readonly body: Buffer;
}

export interface WazuhDb {
  /**
   * One command of the text protocol. Throws `WdbError`: 2005 not reachable, 2010 cut short;
   * rejects with the signal's reason when it aborts.
   */
  query(command: string, signal: AbortSignal): Promise<WdbAnswer>;
  /** One request of the HTTP form, whatever its status. Throws `WdbError` 2013 or 2014. */
  http(request: WdbRequest, signal: AbortSignal): Promise<WdbResponse>;
}

/** The database did not do its part; the stock code says how. */
export class WdbError extends HostError {
  readonly fault: Fault;

  constructor(code: number, extra?: string, options?: ErrorOptions) {
    const reason = fault(code, extra);
    super('database_failed', faultText(reason), options);
    this.fault = reason;
  }
}

/** The payload of `ok` and `due`. Throws `WdbError` 2007 for `err`. */
export function expectPayload({ status, payload }: WdbAnswer): string {
  if (status === 'err') throw new WdbError(2007, payload);
  return payload;
}
