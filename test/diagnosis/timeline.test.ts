/** Moments become incidents with their steps; the journal is written, turned over and read back. */
import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseEventLines, renderEventLine } from '../../src/diagnosis/event-line.ts';
import { momentOf } from '../../src/diagnosis/moments.ts';
import { incidentsOf, sparkline } from '../../src/diagnosis/timeline.ts';
import { journalName, readJournal, withJournal } from '../../src/host/event-journal.ts';
import { type Log, silentLog } from '../../src/log.ts';
import { HandClock, startMs } from '../publisher/fixture.ts';

const moment = (atMs: number, phase?: 'detect' | 'publish' | 'apply' | 'first event') => ({
  atMs,
  what: 'x',
  ...(phase === undefined ? {} : { phase }),
});

test('an incident tells how long after its start each step came, whatever the order given', () => {
  const [incident, ...more] = incidentsOf([
    moment(9_000, 'apply'),
    moment(1_000, 'detect'),
    moment(3_000, 'publish'),
    moment(4_000, 'apply'),
    moment(2_000),
    moment(5_500, 'first event'),
  ]);
  assert.deepEqual(more, []);
  assert.deepEqual(incident?.after, {
    detect: 0,
    publish: 2_000,
    apply: 3_000,
    'first event': 4_500,
  });
  assert.equal(incident?.allAppliedMs, 8_000);
});

test('a quarter of an hour of quiet ends an incident', () => {
  const found = incidentsOf([
    moment(0, 'detect'),
    moment(600_000, 'apply'),
    moment(1_600_000, 'detect'),
  ]);
  assert.deepEqual(
    found.map(({ startedAtMs }) => startedAtMs),
    [0, 1_600_000],
  );
});

test('the sparkline is as wide as asked, and tall where most happened', () => {
  const span = { fromMs: 0, toMs: 100 };
  const busy = [5, 55, 55, 55, 55, 95, 95].map((atMs) => moment(atMs));
  assert.equal(sparkline(busy, span, 10), '▂    █   ▄');
  assert.equal(sparkline([moment(-1), moment(100)], span, 4), '    ');
});

test('a manager that is down is a detection, one that is back is not; a re-signing is no news', () => {
  const event = { atMs: 1, program: 'p', fields: {} };
  assert.equal(momentOf({ ...event, level: 'warn', event: 'manager.changed' }).phase, 'detect');
  assert.equal(momentOf({ ...event, level: 'info', event: 'manager.changed' }).phase, undefined);
  const served = {
    ...event,
    level: 'info',
    event: 'list.served',
    fields: { reason: 'resign' },
  } as const;
  assert.equal(momentOf(served).phase, undefined);
});

function placeOf(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'pf-journal-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));
  return { folder, program: 'sidecar', clock: new HandClock(startMs) };
}

test('events from info up go to the journal and to the log, and are read back', async (t) => {
  const place = placeOf(t);
  const told: string[] = [];
  const plain: Log = { ...silentLog, warn: (event) => void told.push(event) };
  const log = withJournal(plain, place);
  log.debug('quiet.one');
  log.warn('manager.changed', { manager: 'wm1\n"', verdict: 'down', none: undefined });
  const events = await readJournal(place.folder);
  assert.deepEqual(told, ['manager.changed']);
  assert.deepEqual(events, [
    {
      atMs: startMs,
      program: 'sidecar',
      level: 'warn',
      event: 'manager.changed',
      fields: { manager: 'wm1\n"', verdict: 'down' },
    },
  ]);
  assert.equal(statSync(join(place.folder, journalName)).mode & 0o777, 0o640);
});

test('a flood is cut and counted, and the file is turned over at its limit', async (t) => {
  const place = placeOf(t);
  const log = withJournal(silentLog, place);
  for (let count = 0; count < 300; count += 1) log.info('flood.event', { count });
  assert.equal((await readJournal(place.folder)).length, 200);
  place.clock.atMs += 60_000;
  log.info('after.flood');
  const last = (await readJournal(place.folder)).slice(-2);
  assert.deepEqual(
    last.map(({ event, fields }) => `${event} ${fields.count ?? ''}`.trim()),
    ['events.lost 100', 'after.flood'],
  );
  writeFileSync(join(place.folder, journalName), 'x'.repeat(1024 * 1024));
  log.info('over.limit');
  place.clock.atMs += 1_000;
  log.info('new.file');
  assert.ok(statSync(join(place.folder, journalName)).size < 1_000);
});

test('an event behind half a line is whole', async (t) => {
  const place = placeOf(t);
  writeFileSync(join(place.folder, journalName), '{"timestamp":"2026-11-28T');
  withJournal(silentLog, place).info('some.event');
  withJournal(silentLog, place).info('next.event');
  const told = (await readJournal(place.folder)).map(({ event }) => event);
  assert.deepEqual(told, ['some.event', 'next.event']);
});

test('a journal that cannot be turned over grows no further, and what was lost is counted', async (t) => {
  const place = placeOf(t);
  const path = join(place.folder, journalName);
  mkdirSync(`${path}.1`);
  writeFileSync(path, 'x'.repeat(2 * 1024 * 1024));
  const log = withJournal(silentLog, place);
  for (let count = 0; count < 20; count += 1) log.info('over.limit', { text: 'y'.repeat(500) });
  assert.ok(statSync(path).size < 2 * 1024 * 1024 + 1_000);
  rmSync(path);
  log.info('some.room');
  const told = (await readJournal(place.folder)).map(({ event, fields }) =>
    `${event} ${fields.count ?? ''}`.trim(),
  );
  assert.deepEqual(told, ['events.lost 19', 'some.room']);
});

test('a link in the place of the journal is not followed, and stops nothing', (t) => {
  const place = placeOf(t);
  const victim = join(place.folder, 'victim');
  writeFileSync(victim, 'mine');
  symlinkSync(victim, join(place.folder, journalName));
  withJournal(silentLog, place).error('some.event');
  assert.equal(readFileSync(victim, 'utf8'), 'mine');
});

test('torn, foreign and hostile lines are left out', () => {
  const good = renderEventLine({
    atMs: 5,
    program: 'p',
    level: 'info',
    event: 'e',
    fields: { a: 1 },
  });
  const nested =
    '{"timestamp":"2026-01-01T00:00:00Z","pilotfish":{"program":"p","level":"info","event":"e","x":{"y":1}}}';
  const text = `{"torn\nnull\n[]\n{"a":1}\n${nested}\n${good}`;
  assert.deepEqual(
    parseEventLines(text).map(({ fields }) => fields),
    [{}, { a: 1 }],
  );
});
