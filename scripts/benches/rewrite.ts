/**
 * Reading and rewriting ossec.conf files of 10 KB, 1 MB and 50 MB. The yardstick is one copy of the
 * same bytes, which any rewrite has to make; there is no other program that edits this dialect.
 */
import { planEdit, type WantedServer } from '../../src/agent-config/edit.ts';
import { readConfig } from '../../src/agent-config/servers.ts';
import { type Bench, type Row, rowOf } from '../bench.ts';

interface Size {
  readonly label: string;
  readonly bytes: number;
  readonly runs: number;
}

const sizes: readonly Size[] = [
  { label: '10 KB', bytes: 10_000, runs: 300 },
  { label: '1 MB', bytes: 1_000_000, runs: 40 },
  { label: '50 MB', bytes: 50_000_000, runs: 5 },
];

const wanted: readonly WantedServer[] = [
  { address: 'wm-3.example.org', port: 1514, protocol: 'tcp' },
  { address: 'wm-1.example.org', port: 1514, protocol: 'tcp' },
  { address: '10.9.0.1', port: 1514, protocol: 'tcp' },
];

export const bench: Bench = {
  name: 'rewrite',
  summary: 'read and rewrite ossec.conf of 10 KB, 1 MB, 50 MB',

  async run(): Promise<readonly Row[]> {
    return sizes.flatMap((size) => {
      const file = makeConfig(size.bytes);
      const labels = { case: size.label, unit: 'ms' };
      const copy = samples(size.runs, () => Buffer.from(file));
      const read = samples(size.runs, () => readConfig(file, '4'));
      const plan = samples(size.runs, () => planEdit(file, '4', { servers: wanted }));
      const rates = plan.map((elapsedMs) => file.length / 1000 / elapsedMs);
      return [
        rowOf({ ...labels, subject: 'plain copy', metric: 'time' }, copy),
        rowOf({ ...labels, subject: 'pilotfish', metric: 'read' }, read),
        rowOf({ ...labels, subject: 'pilotfish', metric: 'read, edit, prove' }, plan),
        rowOf({ ...labels, subject: 'pilotfish', metric: 'rewrite rate', unit: 'MB/s' }, rates),
      ];
    });
  },
};

/** A file as agents have it: two servers, then sections until the size is reached. */
function makeConfig(bytes: number): Buffer {
  const server = (address: string): string =>
    `    <server>\n      <address>${address}</address>\n      <port>1514</port>\n      <protocol>tcp</protocol>\n    </server>\n`;
  const head = `<ossec_config>\n  <client>\n${server('wm-1.example.org')}${server('wm-2.example.org')}    <notify_time>20</notify_time>\n  </client>\n`;
  const tail = '</ossec_config>\n';
  const section =
    '  <!-- one more log -->\n  <localfile>\n    <log_format>syslog</log_format>\n    <location>/var/log/messages</location>\n  </localfile>\n\n';
  const count = Math.max(0, Math.floor((bytes - head.length - tail.length) / section.length));
  return Buffer.from(head + section.repeat(count) + tail, 'latin1');
}

function samples(runs: number, task: () => unknown): readonly number[] {
  task(); // once to warm up
  return Array.from({ length: runs }, () => {
    const startedMs = performance.now();
    task();
    return performance.now() - startedMs;
  });
}
