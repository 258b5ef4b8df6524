/**
 * The status as Prometheus text (exposition format 0.0.4), for a node_exporter textfile: no port is
 * opened on ten thousand endpoints. Labels are manager ids, so their number is bounded by the list.
 * Pure.
 */
import type { ApplierReport } from '../applier/report.ts';
import type { StatusReport } from './report.ts';

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [value: number, labels?: Labels];

interface Family {
  readonly name: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** `applier`: absent before the first join, or where its state may not be read. */
export function renderMetrics(status: StatusReport, applier: ApplierReport | undefined): string {
  return [...statusFamilies(status), ...applierFamilies(applier)]
    .filter(({ samples }) => samples.length > 0)
    .map(renderFamily)
    .join('');
}

function statusFamilies(status: StatusReport): readonly Family[] {
  const { list, managers, agent } = status;
  const [epoch, term, version] = (list?.position ?? '').split('/').map(Number);
  const gauge = (name: string, help: string, value: number | undefined): Family => ({
    name: `pilotfish_${name}`,
    help,
    samples: value === undefined ? [] : [[value]],
  });
  return [
    gauge('status_timestamp_seconds', 'When the last cycle ended.', status.atMs / 1000),
    gauge('list_epoch', 'Epoch of the list in use.', list && epoch),
    gauge('list_term', 'Term of the list in use.', list && term),
    gauge('list_version', 'Version of the list in use.', list && version),
    gauge(
      'list_fresh_timestamp_seconds',
      'When the list was last proven fresh.',
      status.freshAtMs === undefined ? undefined : status.freshAtMs / 1000,
    ),
    gauge(
      'list_expiry_timestamp_seconds',
      'When the list expires; it stays in use after that.',
      list && list.expiresAtMs / 1000,
    ),
    gauge('stale_polls', 'Polls in a row without a fresh proof.', status.stalePolls),
    gauge('alarms', 'Alarms of the last cycle.', status.alarms.length),
    gauge('agent_running', 'The agent has a process.', agent && Number(agent.running)),
    gauge(
      'agent_connected',
      'The agent is connected to a manager.',
      agent && Number(agent.connectedTo !== undefined),
    ),
    {
      name: 'pilotfish_manager_up',
      help: 'The manager answers as one; 0 when down, draining or unknown.',
      samples: managers.map(({ id, verdict }) => [Number(verdict === 'up'), { manager: id }]),
    },
    {
      name: 'pilotfish_manager_current',
      help: 'The agent is connected to this manager.',
      samples: managers.map(({ id, isCurrent }) => [Number(isCurrent), { manager: id }]),
    },
    {
      name: 'pilotfish_dns_refused_answers',
      help: 'DNS answers since the start that were no answer to what was asked.',
      samples: Object.entries(status.dnsRefused ?? {}).map(([kind, count]) => [count, { kind }]),
    },
  ];
}

function applierFamilies(applier: ApplierReport | undefined): readonly Family[] {
  if (applier === undefined) return [];
  const { drift, restarts } = applier;
  return [
    {
      name: 'pilotfish_config_drift',
      help: 'The server entries of ossec.conf are not those that were written.',
      samples: drift === undefined ? [] : [[Number(drift.kind === 'servers')]],
    },
    {
      name: 'pilotfish_foreign_edits_last_day',
      help: 'How often somebody else changed our server entries in 24 hours.',
      samples: [[applier.foreignEdits]],
    },
    {
      name: 'pilotfish_agent_restarts_last_day',
      help: 'Agent restarts in 24 hours that moves caused.',
      samples: [[restarts.lastDay]],
    },
    {
      name: 'pilotfish_fim_blind_seconds_last_day',
      help: 'How long file integrity monitoring was blind in 24 hours because of restarts.',
      samples: [[restarts.blindMs / 1000]],
    },
  ];
}

function renderFamily({ name, help, samples }: Family): string {
  const lines = samples.map(([value, labels]) => `${name}${renderLabels(labels)} ${value}`);
  return `${[`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...lines].join('\n')}\n`;
}

function renderLabels(labels: Labels = {}): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"');
}
