/** Metrics: names and labels are bounded, whatever agents say; hostile ids are escaped; promtool reads them. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Health } from '../../../src/health/judge.ts';
import type { Manager } from '../../../src/list/model.ts';
import {
  buildFleetMetrics,
  type FleetView,
  imbalanceOf,
} from '../../../src/publisher/observe/fleet-metrics.ts';
import { isInNetworks } from '../../../src/publisher/observe/metrics-route.ts';
import type { AgentRow } from '../../../src/publisher/reports/agent-book.ts';
import { HandClock, managersOf, startMs } from '../fixture.ts';
import { aReport } from '../reports/report-fixture.ts';

const managers = managersOf('wm1', 'wm2');

function viewOf(rows: readonly AgentRow[], more: Partial<FleetView> = {}): FleetView {
  return {
    newest: () => undefined,
    target: () => ({ newest: { epoch: 1, term: 1, version: 1 } }),
    managers: () => managers,
    healths: () => new Map([['wm1', { verdict: 'up' } as Health]]),
    rows: () => rows,
    reports: () => ({ taken: 3, refused: { wrong_mac: 2, made_up: 9 } }),
    complaints: () => [{ topic: 'reports.store', message: 'full', sinceAtMs: 0 }],
    waiting: () => 5,
    lagMs: () => 12,
    rootExpiresAtMs: () => startMs,
    leads: () => true,
    keyLagsMs: () => new Map([['wm2', 2_500]]),
    version: '1.2.3',
    ...more,
  };
}

const rowOf = (agent: string, manager: string): AgentRow => ({
  report: aReport({ agent, manager }),
  receivedAtMs: startMs,
});

test('a scrape tells managers, agents by state, reports, troubles; nothing of one agent', async () => {
  const rows = ['wm1', 'wm1', 'wm2', 'nobody'].map((manager, index) =>
    rowOf(`00${index}`, manager),
  );
  const text = await buildFleetMetrics(viewOf(rows), new HandClock(startMs)).render();
  for (const line of [
    'pilotfish_publisher_node_agents{manager="wm1"} 2',
    'pilotfish_publisher_manager_up{manager="wm2"} 0',
    'pilotfish_publisher_nodes{state="up"} 2',
    'pilotfish_publisher_reports_seen{result="wrong_mac"} 2',
    'pilotfish_publisher_troubles{topic="reports.store"} 1',
    'pilotfish_publisher_keys_sync_lag_seconds{node="wm2"} 2.5',
    'pilotfish_publisher_subscribers 5',
    'pilotfish_publisher_leader 1',
  ]) {
    assert.ok(text.includes(`${line}\n`), `${line} is not in\n${text}`);
  }
  assert.doesNotMatch(text, /nobody|made_up|"00\d"/);
});

test('labels stay bounded whatever ten thousand agents call things', async () => {
  const rows = Array.from({ length: 10_000 }, (_, index) => rowOf(`${index}`, `m-${index}`));
  const metrics = buildFleetMetrics(viewOf(rows), new HandClock(startMs));
  for (let index = 0; index < 1_000; index += 1) {
    const event = { agent: `${index}`, atMs: startMs };
    metrics.note({ ...event, kind: 'result', text: `word-${index}` });
    metrics.note({ ...event, kind: 'manager', text: `m-${index} -> wm1` });
  }
  const text = await metrics.render();
  const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  assert.ok(series.length < 120, `${series.length} series`);
  assert.match(text, /_moves_total 1000\n/);
  assert.match(text, /_applies_total\{result="other"\} 1000\n/);
});

test('a hostile id stays one line and one label', async () => {
  const id = 'a"} 1\nevil{x="\\';
  const hostile = { ...managersOf('x')[0], id } as Manager;
  const text = await buildFleetMetrics(
    viewOf([], { managers: () => [hostile] }),
    new HandClock(startMs),
  ).render();
  assert.doesNotMatch(text, /^evil/m);
  assert.ok(text.includes('node_weight{manager="a\\"} 1\\nevil{x=\\"\\\\"} 100'));
});

test('asked again within two seconds, the last answer is given; then it is looked anew', async () => {
  const clock = new HandClock(startMs);
  let looks = 0;
  const view = viewOf([], {
    waiting: () => {
      looks += 1;
      return looks;
    },
  });
  const metrics = buildFleetMetrics(view, clock);
  const [first, second] = await Promise.all([metrics.render(), metrics.render()]);
  assert.equal(first, second);
  clock.atMs += 2_000;
  assert.notEqual(await metrics.render(), first);
  assert.equal(looks, 2);
});

test('from publication to the report of an agent is a histogram; other versions do not count', async () => {
  const newest = { epoch: 1, term: 1, version: 4, issuedAtMs: startMs, content: { validFor: 60 } };
  const view = viewOf([], { newest: () => newest as ReturnType<FleetView['newest']> });
  const metrics = buildFleetMetrics(view, new HandClock(startMs));
  metrics.note({ agent: '1', atMs: startMs + 4_000, kind: 'list', text: 'holds 1/1/4' });
  metrics.note({ agent: '2', atMs: startMs + 4_000, kind: 'list', text: 'holds 1/1/3' });
  const text = await metrics.render();
  assert.match(text, /publish_to_ack_seconds_bucket\{le="5"\} 1\n/);
  assert.match(text, /publish_to_ack_seconds_count 1\n/);
});

test('an even fleet has imbalance 1, whatever the weights', () => {
  const [a, b] = managersOf('a', 'b');
  assert.ok(a && b);
  const counts = (left: number, right: number) =>
    new Map([
      ['a', left],
      ['b', right],
    ]);
  assert.equal(imbalanceOf([a, { ...b, weight: 300 }], counts(25, 75)), 1);
  assert.equal(imbalanceOf([a, b], counts(75, 25)), 1.5);
  assert.equal(imbalanceOf([a, b], counts(0, 0)), 1);
});

test('networks: IPv4, mapped IPv4, IPv6, and what is no address', () => {
  const networks = ['127.0.0.0/8', '2001:db8::/32'];
  const asked = ['127.0.0.1', '::ffff:127.9.9.9', '10.0.0.1', '2001:db8::5', '::1', '', 'x', '1.2'];
  assert.deepEqual(
    asked.map((ip) => isInNetworks(networks, ip)),
    [true, true, false, true, false, false, false, false],
  );
});

const folder = fileURLToPath(new URL('../../../installers/observability', import.meta.url));

/** Debian's prometheus brings it; `scripts/setup --tests` unpacks it alone. */
const unpacked = fileURLToPath(new URL('../../../node_modules/.bin/promtool', import.meta.url));
const promtool = existsSync(unpacked) ? unpacked : 'promtool';
const hasPromtool = spawnSync(promtool, ['--version']).status === 0;

test('promtool: rules, their unit tests, and a scrape', { skip: !hasPromtool }, async () => {
  const at = join(folder, 'prometheus');
  execFileSync(promtool, ['check', 'rules', 'pilotfish.rules.yml'], { cwd: at });
  execFileSync(promtool, ['test', 'rules', 'pilotfish.tests.yml'], { cwd: at });
  const input = await buildFleetMetrics(viewOf([]), new HandClock(startMs)).render();
  execFileSync(promtool, ['check', 'metrics'], { input });
});

test('dashboard and alerts name only metrics that exist; every alert has its place in the runbook', async () => {
  const text = await buildFleetMetrics(viewOf([]), new HandClock(startMs)).render();
  const sidecar = readFileSync(
    fileURLToPath(new URL('../../../src/sidecar/metrics.ts', import.meta.url)),
    'utf8',
  );
  const isKnown = (name: string): boolean => {
    const base = name.replace(/_(?:bucket|count|sum)$/, '');
    return text.includes(`# TYPE ${base} `) || sidecar.includes(base.slice('pilotfish_'.length));
  };
  const files = globSync('**/*.{yml,json}', { cwd: folder });
  assert.ok(files.length >= 4);
  for (const file of files) {
    const names = readFileSync(join(folder, file), 'utf8').match(/\bpilotfish_[a-z_]+/g) ?? [];
    assert.deepEqual(
      [...new Set(names)].filter((name) => !isKnown(name)),
      [],
      file,
    );
  }
  const rules = readFileSync(join(folder, 'prometheus/pilotfish.rules.yml'), 'utf8');
  const runbook = readFileSync(join(folder, 'runbook.md'), 'utf8');
  const links = [...rules.matchAll(/runbook_url: runbook\.md#([a-z-]+)/g)].map((one) => one[1]);
  assert.equal(links.length, rules.match(/- alert: /g)?.length);
  for (const link of links) assert.ok(runbook.includes(`\n## ${link}\n`), link ?? 'none');
  assert.ok(existsSync(join(folder, 'grafana/pilotfish-fleet.json')));
  assert.ok(
    JSON.parse(readFileSync(join(folder, 'grafana/pilotfish-fleet.json'), 'utf8')).panels.length >
      10,
  );
});
