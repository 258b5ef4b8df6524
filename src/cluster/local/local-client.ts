/**
 * A program beside a cluster node, stock's or ours: asks its local socket (cluster-protocol.md
 * 2.2, 7.9). One connection per question, as stock's programs do; every answer is bounded in size
 * and in time and becomes a typed value or an error, never code.
 */
import type { Socket } from 'node:net';
import type { Clock, Random } from '../../clock.ts';
import { deadline } from '../../clock.ts';
import { PeerError } from '../../errors.ts';
import { type JsonObject, type JsonValue, messageOf, systemCodeOf } from '../../guards.ts';
import { Link, type LinkHandler } from '../link.ts';
import type { Answer, Asked } from '../session/output.ts';
import type { CommandName, Payload } from '../wire/command.ts';
import { type Fault, faultText } from '../wire/fault.ts';
import { defaultLimits, type SessionLimits } from '../wire/limits.ts';
import { PayloadError } from '../wire/payload.ts';
import { parsePlainJson, resultMembers } from '../wire/plain-json.ts';
import { pythonJson } from '../wire/python-json.ts';
import { type CallResult, decodeCallResult } from '../wire/result-json.ts';
import { decodeFault, readFault } from '../wire/wazuh-json.ts';
import { type ClusterHealth, parseHealth } from './node-health.ts';
import { type NodeList, type NodeQuery, nodeQueryJson, parseNodeList } from './node-list.ts';

export interface LocalClientPorts {
  readonly clock: Clock;
  readonly random: Random;
  /** Connects to `queue/cluster/c-internal.sock`. Rejects with a system error or the signal's. */
  dial(signal: AbortSignal): Promise<Socket>;
}

export interface AskOptions {
  /** From dialling to the answer; stock's programs wait 200 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const defaultTimeoutMs = 200_000;
const keepAliveMs = 60_000;
const mebibyte = 1024 * 1024;

/** An answer is read whole: it must fit into memory. */
const limits: SessionLimits = {
  ...defaultLimits,
  stringBytes: 64 * mebibyte,
  stringMemoryBytes: 64 * mebibyte,
  files: 0,
};

/** The node refused, with stock's code. */
export class LocalFault extends PeerError {
  readonly fault: Fault;

  constructor(fault: Fault) {
    super('peer_refused', faultText(fault));
    this.fault = fault;
  }
}

export class LocalClient {
  readonly #ports: LocalClientPorts;

  constructor(ports: LocalClientPorts) {
    this.#ports = ports;
  }

  /** Throws `LocalFault`, `PeerError` (`not_found`: no cluster runs here). */
  async nodes(query: NodeQuery = {}, options: AskOptions = {}): Promise<NodeList> {
    return parsed(await this.#ask('listNodes', nodeQueryJson(query), options), parseNodeList);
  }

  /** `names`: null means every node. Throws as `nodes`. */
  async health(names: readonly string[] | null, options: AskOptions = {}): Promise<ClusterHealth> {
    return readHealthAnswer(await this.#ask('readHealth', names, options));
  }

  /** The node's effective configuration. It holds the cluster key: never print or log it. */
  async config(options: AskOptions = {}): Promise<JsonObject> {
    const bytes = await this.#ask('readConfig', Buffer.alloc(0), options);
    return parsed(bytes, (value) => {
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
        return value as JsonObject;
      }
      throw new PayloadError('the configuration is not an object');
    });
  }

  /** A distributed call; its result, which may be a fault. Throws as `nodes`. */
  async call(request: JsonObject, options: AskOptions = {}): Promise<CallResult> {
    const bytes = await this.#ask('localCall', Buffer.from(pythonJson(request)), options);
    try {
      return decodeCallResult(bytes);
    } catch (error) {
      throw unreadable(error);
    }
  }

  /** The same, run by the node `name`; a master's socket only. */
  async callTo(name: string, request: JsonObject, options: AskOptions = {}): Promise<CallResult> {
    const body = Buffer.from(pythonJson(request));
    const bytes = await this.#ask('localCallTo', { id: name, body }, options);
    try {
      return decodeCallResult(bytes);
    } catch (error) {
      throw unreadable(error);
    }
  }

  /** Raw answer to any local command, for tests and `-d`. */
  async #ask<Name extends CommandName>(
    command: Name,
    value: Payload<Name>,
    options: AskOptions,
  ): Promise<Buffer> {
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    const { signal, cancel } = deadline(this.#ports.clock, timeoutMs, options.signal);
    try {
      return await this.#conversation(command, value, signal);
    } catch (error) {
      if (signal.aborted && !options.signal?.aborted) {
        throw new PeerError('peer_silent', `the cluster node did not answer in ${timeoutMs} ms`);
      }
      throw error;
    } finally {
      cancel();
    }
  }

  async #conversation<Name extends CommandName>(
    command: Name,
    value: Payload<Name>,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const { clock, random } = this.#ports;
    const socket = await this.#dial(signal);
    const later = Promise.withResolvers<Buffer>();
    later.promise.catch(() => undefined); // only some answers come later
    const link = new Link(
      socket,
      { role: 'localClient', limits },
      { clock, random, store: noStore, handler: handlerOf(later) },
    );
    void link.ended.then(({ error }) => later.reject(ended(error)));
    const stop = (): void => later.reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    const stopKeepAlive = this.#keepAlive(link);
    try {
      const direct = takeAnswer(await link.request(command, value, { signal }));
      return isForLater(command, direct) ? await later.promise : direct;
    } finally {
      stopKeepAlive();
      signal.removeEventListener('abort', stop);
      void link.close();
    }
  }

  async #dial(signal: AbortSignal): Promise<Socket> {
    try {
      return await this.#ports.dial(signal);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const isAbsent = ['ENOENT', 'ECONNREFUSED'].includes(systemCodeOf(error) ?? '');
      const what = isAbsent ? 'Error 3012 - Cluster is not running' : messageOf(error);
      throw new PeerError(isAbsent ? 'not_found' : 'link_closed', what, { cause: error });
    }
  }

  /** A node drops programs that say nothing for two minutes. */
  #keepAlive(link: Link): () => void {
    const { clock } = this.#ports;
    const turn = (): void => {
      link.request('keepAlive', Buffer.from('keepalive')).catch(() => undefined);
      cancel = clock.after(keepAliveMs, turn);
    };
    let cancel = clock.after(keepAliveMs, turn);
    return () => cancel();
  }
}

type Later = PromiseWithResolvers<Buffer>;

const noStore = { perform: () => Promise.reject(new Error('nothing is stored here')) };
const sentToMaster = 'Sent request to master node';

/** Whether the direct answer only says that the real one follows. */
function isForLater(command: CommandName, direct: Buffer): boolean {
  return command === 'localCall' || command === 'localCallTo' || direct.equals(sentToMasterBytes);
}

const sentToMasterBytes = Buffer.from(sentToMaster);

function takeAnswer(answer: Answer): Buffer {
  if (answer.kind === 'ok') return answer.payload;
  throw new LocalFault(answer.fault);
}

/** What the node asks of us is only ever the answer to our question. */
function handlerOf(later: Later): LinkHandler {
  return {
    asked(asked, link) {
      switch (asked.command) {
        case 'controlDone':
          settle(later, asked.value);
          return link.answer(asked.counter, { kind: 'ok', payload: 'Response received' });
        case 'localCallDone':
          return link.answer(asked.counter, callDone(asked, link, later));
        case 'localCallFailed':
          later.reject(new LocalFault(decodeFault(asked.value)));
          return link.answer(asked.counter, { kind: 'ok', payload: 'Response received' });
        default:
          return link.answer(asked.counter, { kind: 'refusal', text: 'not asked for' });
      }
    },
  };
}

function callDone(
  asked: Extract<Asked, { command: 'localCallDone' }>,
  link: Link,
  later: Later,
): Parameters<Link['answer']>[1] {
  const taken = asked.value.startsWith('Error') ? undefined : link.takeString(asked.value);
  if (taken?.kind === 'memory') {
    later.resolve(taken.bytes);
    return { kind: 'ok', payload: 'Distributed api response received' };
  }
  const text = asked.value.startsWith('Error')
    ? asked.value.slice(0, 4096)
    : 'Error receiving string: it is unknown or incomplete.';
  later.reject(new PeerError('peer_refused', text));
  return { kind: 'refusal', text };
}

/** Stock writes an error as text or as its JSON where an answer belongs. */
function settle(later: Later, value: Uint8Array): void {
  const bytes = Buffer.from(value); // the frame's memory is reused
  if (bytes.subarray(0, 5).toString('latin1') === 'Error') {
    later.reject(new PeerError('peer_refused', bytes.toString('utf8', 0, 4096)));
  } else later.resolve(bytes);
}

function ended(error: Error | undefined): PeerError {
  return new PeerError('link_closed', 'the cluster node closed its local socket', { cause: error });
}

/** What a node answers to `get_health`. Throws `LocalFault`, `PeerError`. */
export function readHealthAnswer(bytes: Buffer): ClusterHealth {
  return parsed(bytes, parseHealth);
}

function parsed<Value>(bytes: Buffer, parse: (value: JsonValue) => Value): Value {
  try {
    const value = parsePlainJson(bytes, resultMembers);
    const fault = readFault(value);
    if (fault !== undefined) throw new LocalFault(fault);
    return parse(value);
  } catch (error) {
    throw unreadable(error);
  }
}

function unreadable(error: unknown): unknown {
  if (!(error instanceof PayloadError)) return error;
  const what = `the cluster node's answer cannot be read: ${error.message}`;
  return new PeerError('peer_refused', what, { cause: error });
}
