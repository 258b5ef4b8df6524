/** What the settings of a stock `<haproxy_helper>` block become here, each with the reason. Pure. */
import type { HaproxyHelper } from '../cluster/haproxy-helper.ts';

export interface ImportedSetting {
  /** As in ossec.conf. */
  readonly option: string;
  readonly value: string;
  /** Key of publisher.yml, or `-`: nothing corresponds. */
  readonly becomes: string;
  readonly why: string;
}

export interface ImportedHelper {
  readonly settings: readonly ImportedSetting[];
  /** Lines for publisher.yml. */
  readonly yaml: string;
}

/** A move costs an agent a restart here, a reconnection there: never sooner than this. */
const leastAfterS = 900;
const most = { skewPct: 1_000, acceptRate: 10_000 } as const;

export function importHelper(helper: HaproxyHelper): ImportedHelper {
  const skewPct = Math.min(most.skewPct, Math.max(1, Math.round(helper.imbalanceTolerance * 100)));
  const afterS = Math.max(leastAfterS, helper.stabilityS);
  const perSecond = helper.agentChunkSize / Math.max(1, helper.reconnectionS);
  const acceptRate = Math.min(most.acceptRate, Math.max(1, Math.round(perSecond)));
  const enabled = !helper.disabled;
  return {
    settings: settingsOf(helper, { enabled, skewPct, afterS, acceptRate }),
    yaml: [
      'balance:',
      `  enabled: ${enabled}`,
      `  skewPct: ${skewPct}`,
      `  after: ${afterS}s`,
      'list:',
      `  acceptRate: ${acceptRate}`,
      ...helper.excludedNodes.map((node) => `# ${node}: leave it out of managers:`),
      '',
    ].join('\n'),
  };
}

interface Ours {
  readonly enabled: boolean;
  readonly skewPct: number;
  readonly afterS: number;
  readonly acceptRate: number;
}

function settingsOf(helper: HaproxyHelper, ours: Ours): readonly ImportedSetting[] {
  const excluded = helper.excludedNodes.join(', ');
  const rows: readonly (readonly [string, string, string, string])[] = [
    [
      'haproxy_disabled',
      helper.disabled ? 'yes' : 'no',
      `balance.enabled: ${ours.enabled}`,
      'the publisher balances, no proxy in between',
    ],
    [
      'imbalance_tolerance',
      `${helper.imbalanceTolerance}`,
      `balance.skewPct: ${ours.skewPct}`,
      'so much above its share is too many; the share follows from weights and zones',
    ],
    [
      'agent_reconnection_stability_time',
      `${helper.stabilityS} s`,
      `balance.after: ${ours.afterS}s`,
      `skew must last; never under ${leastAfterS} s, as a move may restart an agent`,
    ],
    [
      'agent_chunk_size, agent_reconnection_time',
      `${helper.agentChunkSize} every ${helper.reconnectionS} s`,
      `list.acceptRate: ${ours.acceptRate}`,
      'new sessions a second that one manager takes in; agents move in slots below it',
    ],
    ['frequency', `${helper.everyS} s`, '-', 'loads are looked at every ten seconds'],
    [
      'excluded_nodes',
      excluded === '' ? 'none' : excluded,
      excluded === '' ? '-' : 'managers',
      'only managers that publisher.yml names are offered to agents',
    ],
    [
      'remove_disconnected_node_after',
      `${helper.removeDisconnectedAfterMin} min`,
      'roster.enabled',
      'a lost manager leaves the list in seconds, and comes back by itself',
    ],
    [
      'haproxy_address, port, protocol, user, backend',
      `${helper.protocol}://${helper.address}:${helper.port}, ${helper.backend}`,
      'balancers',
      'only while an HAProxy stays: its file and runtime socket are kept in step, no Data Plane API',
    ],
  ];
  return rows.map(([option, value, becomes, why]) => ({ option, value, becomes, why }));
}
