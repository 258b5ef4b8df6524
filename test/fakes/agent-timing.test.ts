/** The formulas agree with the measured table of real-agent-lab.md 3 within one per cent (or 1 s). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  defaultTiming,
  detectionS,
  effectiveReconnectS,
  type Fault,
  leaveS,
  leaveUnresolvableS,
  type NativeTiming,
  tunedTiming,
} from './agent-timing.ts';

interface MeasuredRow {
  readonly name: string;
  readonly fault: Fault;
  readonly timing: NativeTiming;
  readonly noticedS: readonly number[];
  readonly connectedS: readonly number[];
}

const recv5: NativeTiming = { ...tunedTiming, recvTimeoutS: 5 };
const enrollmentOff: NativeTiming = { ...tunedTiming, enrollment: false };

const measured: readonly MeasuredRow[] = [
  {
    name: 'kill, default',
    fault: 'refused',
    timing: defaultTiming,
    noticedS: [0],
    connectedS: [50],
  },
  {
    name: 'kill, tuned',
    fault: 'refused',
    timing: tunedTiming,
    noticedS: [0.01, 0.02],
    connectedS: [1.01, 1.03],
  },
  {
    name: 'hang, default',
    fault: 'hung',
    timing: defaultTiming,
    noticedS: [49],
    connectedS: [399],
  },
  { name: 'hang, tuned', fault: 'hung', timing: tunedTiming, noticedS: [14.1], connectedS: [75.1] },
  {
    name: 'hang, tuned, recv5',
    fault: 'hung',
    timing: recv5,
    noticedS: [12.6, 14.1],
    connectedS: [18.6, 20.1],
  },
  {
    name: 'blackhole, default',
    fault: 'blackholed',
    timing: defaultTiming,
    noticedS: [48.1],
    connectedS: [901],
  },
  {
    name: 'blackhole, tuned',
    fault: 'blackholed',
    timing: tunedTiming,
    noticedS: [14.1],
    connectedS: [284],
  },
  {
    name: 'blackhole, tuned, enrollment off',
    fault: 'blackholed',
    timing: enrollmentOff,
    noticedS: [12.6, 14.1],
    connectedS: [147, 149],
  },
  {
    name: 'blackhole, tuned, enrollment off, two SYN retries',
    fault: 'blackholed',
    timing: { ...enrollmentOff, connectTimeoutS: 7 },
    noticedS: [14],
    connectedS: [22.2],
  },
];

for (const row of measured) {
  test(`the formulas give the measured failover: ${row.name}`, () => {
    const detection = detectionS(row.fault, row.timing);
    const leave = leaveS(row.fault, row.timing);

    for (const [index, noticedS] of row.noticedS.entries()) {
      const connectedS = row.connectedS[index] ?? Number.NaN;
      const calculatedS = noticedS + leave;
      assert.ok(noticedS >= detection.min && noticedS <= detection.max, `noticed ${noticedS}`);
      const slackS = Math.max(1, connectedS * 0.01);
      assert.ok(Math.abs(calculatedS - connectedS) <= slackS, `${calculatedS} for ${connectedS}`);
    }
  });
}

test('a first name that does not resolve costs 78 s by default and 13 s tuned, 4 s of them at start', () => {
  const startS = 4;
  assert.equal(startS + leaveUnresolvableS(defaultTiming), 78);
  // R = 1, I = 1: look-up, wait, look-up for enrollment.
  assert.equal(startS + leaveUnresolvableS(tunedTiming), 13);
});

test('a time-reconnect that is not above notify_time counts as three keepalives', () => {
  assert.equal(effectiveReconnectS(20, 20), 60);
  assert.equal(effectiveReconnectS(5, 3), 15);
  assert.equal(effectiveReconnectS(5, 6), 6);
});
