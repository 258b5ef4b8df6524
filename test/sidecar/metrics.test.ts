import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApplierReport } from '../../src/applier/report.ts';
import { renderMetrics } from '../../src/sidecar/metrics.ts';
import type { StatusReport } from '../../src/sidecar/report.ts';

const status: StatusReport = {
  atMs: 1_795_000_000_000,
  agentId: '001',
  org: 'acme',
  group: 'default',
  site: 'eu-1',
  agent: { installed: true, running: true, status: 'connected', connectedTo: 'wm-1' },
  list: {
    position: '3/12/4211',
    hash: 'sha256:00',
    acceptedAtMs: 1_794_999_000_000,
    expiresAtMs: 1_795_086_400_000,
  },
  rootVersion: 7,
  stalePolls: 2,
  managers: [
    { id: 'wm-1', address: 'a', port: 1514, state: 'up', verdict: 'up', isCurrent: true },
    { id: 'wm"2\\', address: 'b', port: 1514, state: 'up', verdict: 'down', isCurrent: false },
  ],
  step: { kind: 'stay', reason: 'current_is_up' },
  trace: [],
  faults: [],
  alarms: [],
};

const applier: ApplierReport = {
  drift: { kind: 'servers', written: [], present: [] },
  foreignEdits: 1,
  isRestored: false,
  isUnfinished: false,
  restarts: { lastHour: 1, lastDay: 3, urgentLastHour: 0, blindMs: 4_500 },
};

test('list, managers, agent and drift are metrics in base units', () => {
  const text = renderMetrics({ ...status, dnsRefused: { wrong_id: 3 } }, applier);
  for (const line of [
    'pilotfish_list_version 4211',
    'pilotfish_list_epoch 3',
    'pilotfish_stale_polls 2',
    'pilotfish_agent_connected 1',
    'pilotfish_manager_up{manager="wm-1"} 1',
    'pilotfish_manager_current{manager="wm-1"} 1',
    'pilotfish_dns_refused_answers{kind="wrong_id"} 3',
    'pilotfish_config_drift 1',
    'pilotfish_fim_blind_seconds_last_day 4.5',
  ]) {
    assert.ok(text.split('\n').includes(line), `${line}\n${text}`);
  }
});

test('labels are escaped, every line is a comment or a sample, the last one is ended', () => {
  const text = renderMetrics(status, undefined);
  assert.ok(text.includes('manager="wm\\"2\\\\"'));
  assert.ok(text.endsWith('\n'));
  for (const line of text.trimEnd().split('\n')) {
    assert.match(
      line,
      /^(# (HELP|TYPE) pilotfish_|pilotfish_[a-z_]+(\{manager="([^"\\]|\\.)*"\})? -?[\d.e+]+$)/,
    );
  }
  assert.ok(!text.includes('config_drift'));
});
