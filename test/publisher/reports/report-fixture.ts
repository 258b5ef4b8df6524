/** Reports as sidecars send them, with keys of our own. */
import { type AgentReport, renderAgentReport, reportMac } from '../../../src/list/agent-report.ts';
import { type AgentBook, buildAgentBook } from '../../../src/publisher/reports/agent-book.ts';
import { buildReportDesk, type ReportDesk } from '../../../src/publisher/reports/report-desk.ts';
import { startMs } from '../fixture.ts';

export function keyOf(agent: string): string {
  return `${agent}`.padStart(64, 'a');
}

export function aReport(change: Partial<AgentReport> = {}): AgentReport {
  return {
    agent: '001',
    place: '001',
    seq: 1,
    at: startMs,
    everySec: 300,
    sidecar: '0.1.0',
    agentVersion: 'v4.14.8',
    os: 'linux',
    group: 'default',
    site: 'eu-1',
    root: 1,
    list: { position: { epoch: 1, term: 1, version: 1 }, hash: `sha256:${'0'.repeat(64)}` },
    stalePolls: 0,
    manager: 'wm1',
    connected: true,
    mode: 'agentd',
    step: 'stay:current_is_up',
    why: 'wm1 is up',
    errors: [],
    health: [
      { id: 'wm1', verdict: 'up' },
      { id: 'wm2', verdict: 'up' },
    ],
    ...change,
  };
}

export function signedReport(report: AgentReport, key = keyOf(report.agent), org = 'acme') {
  const body = renderAgentReport(report);
  const { agent } = report;
  return { agent, body, mac: reportMac(key, { org, agent }, body), ip: '127.0.0.1' };
}

export function openReportDesk(
  options: { readonly agents?: number; readonly maxPerSecond?: number } = {},
): { readonly desk: ReportDesk; readonly book: AgentBook } {
  const count = options.agents ?? 10;
  const book = buildAgentBook([]);
  const keys = {
    keyOf: (agent: string) => (Number(agent) <= count ? keyOf(agent) : undefined),
    size: () => count,
  };
  const maxPerSecond = options.maxPerSecond ?? 1_000;
  return { desk: buildReportDesk({ org: 'acme', keys, book, maxPerSecond, everySec: 300 }), book };
}
