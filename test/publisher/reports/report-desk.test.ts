import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportMac } from '../../../src/list/agent-report.ts';
import { startMs } from '../fixture.ts';
import { aReport, keyOf, openReportDesk, signedReport } from './report-fixture.ts';

function nameOf(verdict: { readonly kind: string; readonly name?: string }): string {
  return verdict.name ?? verdict.kind;
}

test('a report with the key of its agent is taken, and told when the next is due', () => {
  const { desk, book } = openReportDesk();
  const verdict = desk.take(signedReport(aReport()), startMs, 0);
  assert.deepEqual(verdict, { kind: 'taken', nextSec: 300 });
  assert.equal(book.size(), 1);
});

test('wrong key, changed body, another agent, another organisation: all the same refusal', () => {
  const { desk, book } = openReportDesk();
  const right = signedReport(aReport());
  const body = Buffer.from(right.body);
  body[body.length - 3] = (body[body.length - 3] ?? 0) ^ 1;
  const cases = [
    signedReport(aReport(), keyOf('002')),
    { ...right, body },
    { ...right, agent: '002' },
    { ...right, agent: '999' },
    signedReport(aReport(), keyOf('001'), 'other'),
    { ...right, mac: 'A'.repeat(43) },
  ];
  const verdicts = cases.map((one) => desk.take(one, startMs, 0));
  assert.deepEqual(
    verdicts,
    cases.map(() => ({
      kind: 'refused',
      status: 401,
      name: 'wrong_mac',
      message: 'not proven',
    })),
  );
  assert.equal(book.size(), 0);
});

test('a replayed or older report is refused and the proven sender learns the number', () => {
  const { desk } = openReportDesk();
  desk.take(signedReport(aReport({ seq: 7 })), startMs, 0);
  const again = desk.take(signedReport(aReport({ seq: 7 })), startMs, 0);
  const older = desk.take(signedReport(aReport({ seq: 6 })), startMs, 0);
  assert.deepEqual([nameOf(again), nameOf(older)], ['replayed', 'replayed']);
  assert.ok(again.kind === 'refused' && again.seq === 7);
});

test('an agent may not speak for another, whose id stands in its body', () => {
  const { desk } = openReportDesk();
  const body = signedReport(aReport({ agent: '002' }), keyOf('001'));
  const forged = desk.take(
    { ...signedReport(aReport({ agent: '002' }), keyOf('001')), agent: '001' },
    startMs,
    0,
  );
  assert.equal(nameOf(forged), 'wrong_mac'); // the id is under the MAC
  assert.equal(nameOf(desk.take(body, startMs, 0)), 'wrong_mac');
});

test('one agent that reports without end gets its share and no more', () => {
  const { desk } = openReportDesk();
  const verdicts = Array.from({ length: 100 }, (_, seq) =>
    nameOf(desk.take(signedReport(aReport({ seq: seq + 1 })), startMs, seq)),
  );
  assert.equal(verdicts.filter((name) => name === 'taken').length, 6);
  assert.equal(verdicts.at(-1), 'too_fast');
});

test('a flood with wrong keys costs no memory and does not cost honest hosts their reports', () => {
  const { desk, book } = openReportDesk({ maxPerSecond: 100 });
  const wrong = signedReport(aReport(), keyOf('002'));
  for (let i = 0; i < 50_000; i += 1) desk.take(wrong, startMs, 0);
  assert.equal(book.size(), 0);
  assert.deepEqual(desk.counts(), { taken: 0, refused: { wrong_mac: 50_000 } });
  const elsewhere = { ...signedReport(aReport()), ip: '127.0.0.2' };
  assert.equal(desk.take(elsewhere, startMs, 0).kind, 'taken');
  assert.equal(desk.take(signedReport(aReport({ seq: 2 })), startMs, 1_000).kind, 'taken');
});

test('a flood with wrong keys costs nobody behind the same address a proven report', () => {
  const { desk } = openReportDesk({ agents: 50, maxPerSecond: 100 });
  const wrong = { ...signedReport(aReport()), mac: 'A'.repeat(43) };
  const names = Array.from({ length: 50 }, (_, index) => {
    for (let i = 0; i < 1_000; i += 1) desk.take(wrong, startMs, index);
    const agent = `${index + 1}`.padStart(3, '0');
    return nameOf(desk.take(signedReport(aReport({ agent })), startMs, index));
  });
  assert.deepEqual(new Set(names), new Set(['taken']));
});

test('more proven reports than the publisher wants are refused until the next second', () => {
  const { desk } = openReportDesk({ agents: 300, maxPerSecond: 100 });
  const all = Array.from({ length: 300 }, (_, index) => `${index + 1}`.padStart(3, '0'));
  const names = all.map((agent) => nameOf(desk.take(signedReport(aReport({ agent })), startMs, 0)));
  assert.equal(names.filter((name) => name === 'taken').length, 100);
  assert.equal(names.at(-1), 'too_many');
});

test('malformed bodies under a right key are refused, whatever they are', () => {
  const { desk, book } = openReportDesk();
  const bodies = [
    '',
    '[]',
    '{}',
    '{"typ":"pf-list"}',
    '\u0000',
    '{"typ":"pf-report","typ":"x"}',
    'x'.repeat(5_000),
  ];
  const names = bodies.map((text) => {
    const body = Buffer.from(text);
    const { mac } = signWith(body);
    return nameOf(desk.take({ agent: '001', body, mac, ip: '127.0.0.1' }, startMs, 60_000));
  });
  assert.deepEqual(new Set(names), new Set(['bad_report', 'too_big']));
  assert.equal(book.size(), 0);
});

test('a report from the future is dated by our clock; what it claims is only kept', () => {
  const { desk, book } = openReportDesk();
  desk.take(
    signedReport(aReport({ at: startMs + 10 * 365 * 86_400_000, seq: 2 ** 52 })),
    startMs,
    0,
  );
  const [row] = [...book.rows()];
  assert.equal(row?.receivedAtMs, startMs);
});

test('a large fleet is asked to report more rarely', () => {
  const { desk } = openReportDesk({ agents: 500, maxPerSecond: 10 });
  let nextSec = 0;
  for (let agent = 1; agent <= 500; agent += 1) {
    const id = `${agent}`.padStart(3, '0');
    const verdict = desk.take(signedReport(aReport({ agent: id })), startMs, agent * 1_000);
    nextSec = verdict.kind === 'taken' ? verdict.nextSec : -1;
  }
  assert.equal(nextSec, 500);
});

function signWith(body: Buffer) {
  const { agent } = aReport();
  return { mac: reportMac(keyOf(agent), { org: 'acme', agent }, body) };
}
