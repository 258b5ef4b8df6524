/** The publisher's server as a process of its own: routes, limits wide open, orders on IPC. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildCertificateMaker } from '../../src/host/certificate-maker.ts';
import { watchEventLoopLag } from '../../src/host/event-loop-lag.ts';
import { buildHttpsFront } from '../../src/host/https-front.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { silentLog } from '../../src/log.ts';
import { buildConnectionLedger } from '../../src/publisher/connection-ledger.ts';
import type { ListeningFront } from '../../src/publisher/daemon.ts';
import { buildListService } from '../../src/publisher/list-service.ts';
import { publishConfigured } from '../../src/publisher/orders.ts';
import { publish } from '../../src/publisher/publish.ts';
import { buildAgentBook } from '../../src/publisher/reports/agent-book.ts';
import { buildReportDesk } from '../../src/publisher/reports/report-desk.ts';
import { buildRoutes } from '../../src/publisher/routes.ts';
import { MemoryHistory } from '../../src/simulation/rollout-history.ts';
import { rolloutRun } from '../rollout/runs.ts';

const [directory = '.'] = process.argv.slice(2);
const wide = 100_000;
const maker = buildCertificateMaker(systemClock, systemRandom);
const authority = maker.makeAuthority({ org: 'acme', validDays: 30 });
const certificate = maker.makeServer({ authority, hosts: ['127.0.0.1'], validDays: 30 });
const ledger = buildConnectionLedger({
  maxConnections: wide,
  maxConnectionsPerIp: wide,
  maxConnectionsPerNetwork: wide,
  maxHandshakesPerSecond: wide,
  maxLongPolls: wide,
  maxLongPollsPerIp: wide,
});
const run = await rolloutRun({ isBad: false, agents: 0, hasFaults: false });
const history = new MemoryHistory();
const clock = { ...systemClock, nowMs: () => run.startMs };
const desk = { ...run.desk, history, clock };
await publish(desk, publishConfigured(run.first));
const lag = watchEventLoopLag(systemClock);
const { listKey } = run.desk;
const limits = { maxReceiptsPerSecond: wide, isBusy: () => false };
const service = buildListService({ clock: systemClock, listKey, ledger, ...limits });
const book = buildAgentBook([]);
const reports = buildReportDesk({
  org: 'acme',
  keys: { keyOf: (agent) => agent.padStart(64, 'a'), size: () => 1 },
  book,
  maxPerSecond: wide,
  everySec: 300,
});
let front: ListeningFront | undefined;
const parts = { service, rootEnvelope: () => undefined, clock: systemClock, random: systemRandom };
const app = buildRoutes({ ...parts, reports, log: silentLog, lagMs: () => 0 }, (handler) => {
  front = buildHttpsFront(handler, {
    ledger,
    clock: systemClock,
    log: silentLog,
    certificate,
    authorityPem: authority.certificatePem,
    maxRequestsPerSocket: 0,
    timeouts: {
      handshakeMs: 120_000,
      headersMs: 120_000,
      requestMs: 120_000,
      keepAliveMs: 120_000,
    },
  });
  return front.server;
});
await app.ready();
const first = history.newest();
if (first !== undefined) service.serve(first);
const port = (await front?.listen('127.0.0.1', 0)) ?? 0;
writeFileSync(
  join(directory, 'server.crt'),
  `${certificate.certificatePem}${authority.certificatePem}`,
);
writeFileSync(join(directory, 'server.key'), certificate.keyPem, { mode: 0o600 });
writeFileSync(join(directory, 'list'), first?.envelope ?? '');
process.send?.({ kind: 'ready', port, etag: first?.hash });

process.on('message', async (order) => {
  if (order === 'usage') {
    const { user, system } = process.cpuUsage();
    const rss = process.memoryUsage.rss();
    process.send?.({
      kind: 'usage',
      cpuMs: (user + system) / 1_000,
      rss,
      waiting: service.waiting(),
      lagMs: lag.lagMs(),
    });
  }
  if (order === 'publish') {
    const change = history.entries.length % 2 === 1 ? run.change : run.first;
    await publish(desk, publishConfigured(change));
    const newest = history.newest();
    const atMs = performance.timeOrigin + performance.now();
    if (newest !== undefined) service.serve(newest);
    process.send?.({ kind: 'published', atMs, etag: newest?.hash });
  }
});
process.once('disconnect', () => process.exit(0));
