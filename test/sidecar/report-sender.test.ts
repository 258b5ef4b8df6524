import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PeerError } from '../../src/errors.ts';
import { type AgentReport, parseAgentReport } from '../../src/list/agent-report.ts';
import { silentLog } from '../../src/log.ts';
import { PublisherBook } from '../../src/sidecar/publisher-book.ts';
import {
  type ReportAnswer,
  type ReportLink,
  type ReportOrder,
  ReportSender,
} from '../../src/sidecar/report-sender.ts';
import { aReport } from '../publisher/reports/report-fixture.ts';
import { VirtualClock } from './scene.ts';

class Desk implements ReportLink {
  readonly taken: { readonly report: AgentReport; readonly atMs: number; readonly url: string }[] =
    [];
  answer: (url: string, report: AgentReport) => Promise<ReportAnswer> = async () => ({
    status: 200,
  });
  readonly clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  async tell({ url }: { url: string }, { body }: { body: Uint8Array }): Promise<ReportAnswer> {
    const report = parseAgentReport(body);
    this.taken.push({ report, atMs: this.clock.monotonicMs(), url });
    return this.answer(url, report);
  }
}

function orderOf(change: Partial<AgentReport> = {}, urls = ['https://p1']): ReportOrder {
  const { seq: _seq, at: _at, everySec: _every, ...facts } = aReport(change);
  const targets = urls.map((url) => ({ url, pins: [] }));
  return { facts, org: 'acme', targets, lastPublisher: urls[0], agents: 0 };
}

function start(nowMs = 1_800_000_000_000) {
  const clock = new VirtualClock(nowMs);
  const desk = new Desk(clock);
  const sender = new ReportSender({
    clock,
    random: { bytes: (length) => new Uint8Array(length), fraction: () => 0.5 },
    log: silentLog,
    link: desk,
    book: new PublisherBook(),
    everyMs: 300_000,
    readKey: async () => 'key',
  });
  const stop = new AbortController();
  void sender.run(stop.signal).catch(() => undefined);
  return { clock, desk, sender, stop };
}

test('nothing is sent before a cycle has seen something; then once, then every few minutes', async () => {
  const { clock, desk, sender } = start();
  await clock.pass(60_000);
  assert.equal(desk.taken.length, 0);
  sender.look(orderOf());
  await clock.pass(10_000);
  assert.equal(desk.taken.length, 1);
  for (let i = 0; i < 580; i += 1) {
    sender.look(orderOf()); // a cycle a second changes nothing
    await clock.pass(1_000);
  }
  assert.equal(desk.taken.length, 3);
});

test('a change is told within seconds, and a flapping host at most every five', async () => {
  const { clock, desk, sender } = start();
  sender.look(orderOf());
  await clock.pass(20_000);
  sender.look(orderOf({ manager: 'wm2' }));
  await clock.pass(3_000);
  assert.equal(desk.taken.at(-1)?.report.manager, 'wm2');
  for (let i = 0; i < 60; i += 1) {
    sender.look(orderOf({ manager: `wm${i % 3}` }));
    await clock.pass(1_000);
  }
  assert.ok(desk.taken.length <= 2 + 12, `${desk.taken.length}`);
});

test('numbers grow even when the clock goes back, and a publisher that knows a higher one is heeded', async () => {
  const { clock, desk, sender } = start();
  sender.look(orderOf());
  await clock.pass(10_000);
  const first = desk.taken.at(-1)?.report.seq ?? 0;
  clock.jumpTo(1_000_000_000_000);
  sender.look(orderOf({ manager: 'wm2' }));
  await clock.pass(10_000);
  assert.equal(desk.taken.at(-1)?.report.seq, first + 1);
  desk.answer = async (_url, { seq }) =>
    seq > 10 ** 15 ? { status: 200 } : { status: 409, seq: 10 ** 15 };
  sender.look(orderOf({ manager: 'wm3' }));
  await clock.pass(10_000);
  assert.equal(desk.taken.at(-1)?.report.seq, 10 ** 15 + 1);
});

test('a publisher that takes no reports is passed over; when all fail, only the newest state is told later', async () => {
  const { clock, desk, sender } = start();
  desk.answer = async (url) => ({ status: url === 'https://p1' ? 404 : 200 });
  sender.look(orderOf({}, ['https://p1', 'https://p2']));
  await clock.pass(10_000);
  assert.deepEqual(
    desk.taken.map(({ url }) => url),
    ['https://p1', 'https://p2'],
  );
  desk.answer = async () => {
    throw new PeerError('connect_failed', 'nobody is there');
  };
  for (let i = 0; i < 1_000; i += 1) {
    sender.look(orderOf({ manager: `wm${i}` }, ['https://p2']));
    await clock.pass(1_000);
  }
  const failed = desk.taken.length;
  assert.ok(failed < 40, `${failed} attempts in 1000 s`);
  desk.answer = async () => ({ status: 200 });
  await clock.pass(700_000);
  assert.equal(desk.taken[failed]?.report.manager, 'wm999');
});

test('the publisher sets the pace, within bounds', async () => {
  const { clock, desk, sender } = start();
  desk.answer = async () => ({ status: 200, nextSec: 0 });
  sender.look(orderOf());
  await clock.pass(60_000);
  assert.ok(desk.taken.length <= 8, `${desk.taken.length}: never faster than every 10 s`);
});
