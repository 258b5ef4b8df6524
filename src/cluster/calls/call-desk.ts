/**
 * Runs distributed calls for one node (cluster-protocol.md 4.9): here, on the master, or on every
 * node that has a part of the answer. Always ends in a result that a stock node decodes, and in
 * time; who asks may narrow what is seen and nothing else.
 */
import type { Clock } from '../../clock.ts';
import { deadline } from '../../clock.ts';
import type { JsonObject } from '../../guards.ts';
import { messageOf } from '../../guards.ts';
import { type Fault, fault, faultText } from '../wire/fault.ts';
import type { CallResult, FailedItems } from '../wire/result-json.ts';
import { type CallRequest, forwardedCall } from './call-request.ts';
import { mayForward } from './known-verbs.ts';
import { addFailed, mergeResults } from './merge.ts';
import type { NodeView } from './node-view.ts';
import { CallFailed } from './pending-calls.ts';
import { DeniedError, Permissions } from './rbac.ts';
import { routeOf, type Share, shareKwargs, solversOf } from './route.ts';
import { deniedItems, failedItems, faultOf, itemsResult } from './verb.ts';
import { runVerb } from './verbs.ts';

export interface CallDeskPorts {
  readonly clock: Clock;
  readonly view: NodeView;
  /** `distributed_api.enabled` of cluster.json. */
  readonly isDistributed: boolean;
  /** For what another node is asked; stock waits 200 s. */
  readonly callTimeoutMs: number;
  /**
   * Ask another node: its result. On a worker there is only the master, whatever the name.
   * Rejects with `CallFailed`.
   */
  ask(node: string, body: Buffer, timeoutMs: number, signal: AbortSignal): Promise<CallResult>;
}

/** What a local run may take when the asker sets no limit of its own. */
const localTimeoutMs = 10_000;

export class CallDesk {
  readonly #ports: CallDeskPorts;

  constructor(ports: CallDeskPorts) {
    this.#ports = ports;
  }

  /** Never rejects, and ends in time whatever it waits for. */
  async run(request: CallRequest, parent: AbortSignal): Promise<CallResult> {
    const { clock, callTimeoutMs } = this.#ports;
    const { signal, cancel } = deadline(clock, callTimeoutMs, parent);
    try {
      return this.#explained(await this.#route(request, signal));
    } catch (error) {
      const isLate = signal.aborted && error === signal.reason;
      return this.#explained({ kind: 'fault', fault: isLate ? fault(3021) : toFault(error) });
    } finally {
      cancel();
    }
  }

  async #route(request: CallRequest, signal: AbortSignal): Promise<CallResult> {
    const { view, isDistributed } = this.#ports;
    switch (routeOf(request, { type: view.self.type, isDistributed })) {
      case 'here':
        return this.#here(request, request.kwargs, signal);
      case 'to_master':
        demandForwardable(request);
        return this.#ports.ask('master', rawCall(request), this.#ports.callTimeoutMs, signal);
      case 'fan_out':
        demandForwardable(request);
        return this.#fanOut(request, signal);
    }
  }

  async #here(request: CallRequest, kwargs: JsonObject, parent: AbortSignal): Promise<CallResult> {
    const { clock, view, callTimeoutMs } = this.#ports;
    const asked = Number(request.raw.api_timeout ?? 0) * 1000;
    const wantedMs = request.isPatient ? callTimeoutMs : Math.max(localTimeoutMs, asked || 0);
    const { signal, cancel } = deadline(clock, Math.min(wantedMs, callTimeoutMs), parent);
    const late = Promise.withResolvers<CallResult>();
    const expire = (): void => late.resolve({ kind: 'fault', fault: fault(3021) });
    signal.addEventListener('abort', expire, { once: true });
    try {
      // What it throws at once must end the deadline as well.
      const run = runVerb(request.verb, {
        kwargs,
        permissions: Permissions.parse(request.permissions),
        nodes: request.nodes,
        isBroadcast: request.isBroadcast,
        view,
        nowMs: clock.nowMs(),
        signal,
      });
      return await Promise.race([run, late.promise]);
    } finally {
      signal.removeEventListener('abort', expire);
      cancel();
    }
  }

  async #fanOut(request: CallRequest, signal: AbortSignal): Promise<CallResult> {
    const { view } = this.#ports;
    const { kwargs, isBroadcast } = request;
    const nodes = view.nodes().map(({ name }) => name);
    const solvers = await solversOf({
      kwargs,
      isBroadcast,
      self: view.self.name,
      nodes,
      agents: () => view.agents.agents(signal),
    });
    const shares =
      solvers.length > 0 ? solvers : nodes.map((node) => ({ node, agents: undefined }));
    const allowed = this.#allowedShares(request, shares, nodes);
    const answers = await Promise.all(
      allowed.shares.map((share) => this.#share(request, share, signal)),
    );
    return this.#merged(answers, allowed);
  }

  /** Only calls that name nodes need the right to read those nodes, as in stock. */
  #allowedShares(
    { kwargs, permissions, removesDenied }: CallRequest,
    shares: readonly Share[],
    nodes: readonly string[],
  ): { readonly shares: readonly Share[]; readonly failed: readonly FailedItems[] } {
    if (!('node_id' in kwargs || 'node_list' in kwargs)) return { shares, failed: [] };
    const ids = shares.map(({ node }) => node);
    const wanted = { action: 'cluster:read', resource: 'node:id', ids } as const;
    const allowed = Permissions.parse(permissions).allowed(wanted);
    const denied = ids.filter((id) => !allowed.has(id));
    if (allowed.size === 0 && ids.length > 0) {
      throw new DeniedError('Resource type: node:id', denied);
    }
    const unknown = [...allowed].filter((id) => !nodes.includes(id));
    const left = shares.filter(({ node }) => allowed.has(node) && nodes.includes(node));
    const isSaid = kwargs.node_list !== '*' && !removesDenied;
    const refused = isSaid ? deniedItems('node:id', denied) : [];
    return { shares: left, failed: [...failedItems(1730, unknown), ...refused] };
  }

  /** One node's part. A node that does not answer is an error about that node. */
  async #share(request: CallRequest, share: Share, signal: AbortSignal): Promise<CallResult> {
    const { view, callTimeoutMs } = this.#ports;
    const kwargs = shareKwargs(request.kwargs, share);
    try {
      if (share.node === view.self.name) return await this.#here(request, kwargs, signal);
      const body = forwardedCall(request, kwargs);
      return await this.#ports.ask(share.node, body, callTimeoutMs, signal);
    } catch (error) {
      const reason = toFault(error);
      const about: Fault = { ...reason, class: 'WazuhError', ids: [share.node] };
      return { kind: 'fault', fault: reason.code === 4000 ? reason : about };
    }
  }

  #merged(
    answers: readonly CallResult[],
    { failed }: { readonly failed: readonly FailedItems[] },
  ): CallResult {
    const nothing = itemsResult({
      items: [],
      all: 'All selected nodes information was returned',
      some: 'Some nodes information was not returned',
      none: 'No information was returned',
    });
    const [first = nothing, ...rest] = answers;
    const merged = rest.reduce(mergeResults, first);
    if (merged.kind !== 'items') return merged;
    return { ...merged, failed: addFailed(merged.failed, failed) };
  }

  /** Which node says so, as stock's API shows it. */
  #explained(result: CallResult): CallResult {
    if (result.kind !== 'fault' || result.fault.nodes !== undefined) return result;
    const { view } = this.#ports;
    const error = faultText(result.fault).replace(/^Error \d+ - /, '');
    const isInternal = ['WazuhInternalError', 'WazuhClusterError'].includes(result.fault.class);
    const logfile = isInternal ? { logfile: 'WAZUH_HOME/logs/cluster.log' } : {};
    const nodes = { [view.self.name]: { error, ...logfile } };
    return { kind: 'fault', fault: { ...result.fault, nodes } };
  }
}

function rawCall(request: CallRequest): Buffer {
  return Buffer.from(JSON.stringify(request.raw));
}

function demandForwardable({ verb }: CallRequest): void {
  if (mayForward(verb)) return;
  throw new CallFailed(fault(1000, `${verb} is no function that nodes of a cluster share`));
}

function toFault(error: unknown): Fault {
  if (error instanceof CallFailed) return error.fault;
  return faultOf(error) ?? fault(1000, messageOf(error).slice(0, 512));
}
