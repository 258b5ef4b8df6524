/** What the sidecar's commands print for people. */

import type { ApplyResult } from '../applier/result.ts';
import { refusedText } from '../dns/exchange.ts';
import { expiresAtMs } from '../list/freshness.ts';
import { renderPosition } from '../list/position.ts';
import type { StatusReport } from '../sidecar/report.ts';
import type { Step } from '../sidecar/step.ts';
import type { JoinedHost, KnownList } from './sidecar-host.ts';
import { paint, printable, renderDuration, renderTable, type Terminal } from './terminal.ts';

export function joinText({ trust, memory, news }: JoinedHost): string {
  const managers = trust.list?.list.managers.length ?? 0;
  const warned = [
    ...news.warnings,
    ...news.faults.map(({ source, error }) => `${source}: ${error.code} ${error.message}`),
  ];
  return [
    `joined ${trust.token.org} (group ${trust.audience.group}, site ${trust.audience.site})`,
    `root ${trust.newest.root.version}, ${trust.newest.hash}`,
    `list ${memory.list === undefined ? '-' : renderPosition(memory.list.position)}: ${managers} managers, ${news.freshness}`,
    ...warned.map((text) => `warning: ${printable(text)}`),
    'nothing was written to the agent yet: `pilotfish plan --diff` shows what would be',
  ].join('\n');
}

export function stepText(step: Step): string {
  switch (step.kind) {
    case 'stay':
      return `stay: ${words(step.reason)}`;
    case 'write':
      return `write ${step.order.join(', ')} (${words(step.reason)}); the agent is not restarted`;
    case 'move':
      return `move to ${step.to} (${words(step.reason)}); ${step.order.join(', ')}`;
    case 'switch':
      return `switch the relay from ${step.from} to ${step.to} (${words(step.reason)}); no restart`;
    case 'restore':
      return 'restore the newest backup of ossec.conf';
    default:
      return `hold: ${words(step.reason)}`;
  }
}

export function resultText(result: ApplyResult): string {
  const servers = result.servers.map(({ address, port }) => `${address}:${port}`).join(', ');
  const away = result.awayMs === undefined ? '' : `, agent away ${renderDuration(result.awayMs)}`;
  const reason =
    result.reason === undefined
      ? []
      : [
          `  ${result.reason.code} ${result.reason.name}: ${printable(result.reason.message)}`,
          `  what to do: ${result.reason.fix}`,
        ];
  return [
    `${result.outcome}${away}${result.restarts > 0 ? `, ${result.restarts} restarts` : ''}`,
    ...reason,
    ...(servers === '' ? [] : [`  ossec.conf names ${servers}`]),
    ...result.notes.map((note) => `  note: ${printable(note)}`),
  ].join('\n');
}

export function listText({ list, trust, memory }: KnownList, nowMs: number): string {
  const rank = new Map(list.ranking.map(({ id }, index) => [id, index + 1]));
  const rows = list.list.managers
    .map((one) => ({ ...one, rank: rank.get(one.id) }))
    .sort((left, right) => (left.rank ?? 99) - (right.rank ?? 99))
    .map((one) => [
      one.rank ?? '-',
      one.id,
      one.address,
      one.port,
      one.protocol,
      one.zone,
      one.prio,
      one.weight,
      one.state,
    ]);
  const leftMs = expiresAtMs(list.list) - nowMs;
  const validity = leftMs > 0 ? `valid for ${renderDuration(leftMs)}` : 'expired, still in use';
  const head = `list ${renderPosition(list.list)} of ${list.list.org}, root ${trust.newest.root.version}, ${validity}`;
  const pending =
    memory.pending === undefined
      ? ''
      : `list ${renderPosition(memory.pending.position)} waits for its rollout to reach this host\n`;
  const header = ['rank', 'id', 'address', 'port', 'proto', 'zone', 'prio', 'weight', 'state'];
  return `${head}\n${pending}${renderTable(header, rows)}`;
}

export function statusText(
  status: StatusReport,
  options: { readonly why: boolean; readonly nowMs: number },
  terminal: Terminal,
): string {
  const { nowMs, why } = options;
  const ago = (atMs: number): string => `${renderDuration(Math.max(0, nowMs - atMs))} ago`;
  const { agent, list } = status;
  const rows = status.managers
    .toSorted((left, right) => (left.rank ?? 99) - (right.rank ?? 99))
    .map((one) => [
      one.isCurrent ? '*' : ' ',
      one.rank ?? '-',
      one.id,
      `${one.address}:${one.port}`,
      one.verdict,
      one.sinceAtMs === undefined ? '-' : ago(one.sinceAtMs),
      one.seen ?? '-',
    ]);
  const lines = [
    `agent ${status.agentId}: ${agentText(agent)} (seen ${ago(status.atMs)})`,
    list === undefined
      ? 'list: none'
      : `list ${list.position} of ${status.org}, root ${status.rootVersion}, proven fresh ${status.freshAtMs === undefined ? 'never' : ago(status.freshAtMs)}`,
    ...(status.relay?.kind === 'open' ? [relayText(status.relay)] : []),
    ...(status.dnsRefused === undefined
      ? []
      : [`DNS answers refused: ${refusedText(status.dnsRefused)}`]),
    stepText(status.step),
  ];
  return [
    ...lines,
    '',
    renderTable(['', 'rank', 'manager', 'address', 'verdict', 'since', 'seen'], rows),
    ...status.alarms.map(({ level, text }) =>
      paint(terminal, level === 'critical' ? 'red' : 'yellow', `${level}: ${printable(text)}`),
    ),
    ...(why ? ['why:', ...status.trace.map((line) => `  ${printable(line)}`)] : []),
  ].join('\n');
}

function relayText(relay: Extract<StatusReport['relay'], { kind: 'open' }>): string {
  const to = relay.managerId === undefined ? 'nobody is connected' : `leads to ${relay.managerId}`;
  return `relay ${relay.address}:${relay.port}: ${to}`;
}

function agentText(agent: StatusReport['agent']): string {
  if (agent === undefined) return 'not looked at yet';
  if (!agent.installed) return 'not installed';
  const state = agent.running ? agent.status : 'stopped';
  const where = agent.connectedTo === undefined ? 'not connected' : `on ${agent.connectedTo}`;
  return `${agent.version ?? 'unknown version'}, ${state}, ${where}`;
}

function words(name: string): string {
  return name.replaceAll('_', ' ');
}
