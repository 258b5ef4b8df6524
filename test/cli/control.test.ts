/** `cluster_control`: the recorded tables byte by byte, its arguments, its failures. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseControl } from '../../src/cli/control-arguments.ts';
import { type ControlParts, runControl } from '../../src/cli/control-command.ts';
import { controlTable, filesTable } from '../../src/cli/control-tables.ts';
import type { Outcome } from '../../src/cli/run-command.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { LocalClient } from '../../src/cluster/local/local-client.ts';
import { dialUnix } from '../../src/host/cluster-local-socket.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { connectionsOf, playScripts, scriptOf } from '../cluster/local/played-server.ts';
import type { RecordedFrame } from '../cluster/recording.ts';

class Printed implements Terminal {
  readonly isTty = false;
  readonly noColor = true;
  readonly columns = 200;
  told = '';
  complained = '';

  out(text: string): void {
    this.told += text;
  }

  err(text: string): void {
    this.complained += text;
  }
}

async function run(path: string, words: string): Promise<{ printed: Printed; outcome: Outcome }> {
  const printed = new Printed();
  const outcome: Outcome = { exit: 0 };
  const dial = (signal: AbortSignal) => dialUnix(systemClock, path, signal);
  const client = new LocalClient({ clock: systemClock, random: systemRandom, dial });
  const stop = new AbortController();
  const parts: ControlParts = {
    terminal: printed,
    outcome,
    host: {
      client: () => client,
      async sleep() {
        stop.abort();
      },
    },
    signals: () => ({ stop: stop.signal, onReload: () => () => undefined }),
  };
  await runControl(words.split(' '), parts);
  return { printed, outcome };
}

/** What the recorded client printed for a command: everything up to the next `$`. */
function recordedOutput(name: string, command: string, prompt = '$'): string {
  const text = readFileSync(
    new URL(`../fixtures/cluster/${name}.client.txt`, import.meta.url),
    'utf8',
  );
  const start = text.indexOf(`${prompt} cluster_control ${command}\n`);
  assert.ok(start >= 0, `${command} is recorded`);
  const body = text.slice(text.indexOf('\n', start) + 1);
  const end = /\n(?:\S+\$|\$|m b'|w b')/.exec(body);
  return body.slice(0, end?.index ?? body.length - 1);
}

const worker = '08-cluster-control-worker.local-w';
const master = '09-cluster-control-master.local-m';

/** The nth recorded conversation that begins with `word`. */
function script(recording: string, word: string, nth = 0): readonly RecordedFrame[] {
  return scriptOf(recording, connectionsOf(recording, word)[nth] ?? -1);
}

const config = script(master, 'get_config');

interface Case {
  readonly words: string;
  readonly file: string;
  readonly scripts: readonly (readonly RecordedFrame[])[];
}

const tables: readonly Case[] = [
  { words: '-l', file: '08-cluster-control-worker', scripts: [script(worker, 'get_nodes', 0)] },
  {
    words: '-i',
    file: '08-cluster-control-worker',
    scripts: [script(worker, 'get_nodes', 1), script(worker, 'get_health', 0), config],
  },
  {
    words: '-i more',
    file: '08-cluster-control-worker',
    scripts: [script(worker, 'get_nodes', 2), script(worker, 'get_health', 1), config],
  },
  {
    words: '-a',
    file: '08-cluster-control-worker',
    scripts: [script(worker, 'get_nodes', 0), script(worker, 'dapi', 0)],
  },
  {
    words: '-l -fn w',
    file: '08-cluster-control-worker',
    scripts: [script(worker, 'get_nodes', 3)],
  },
  {
    words: '-a -fs active',
    file: '08-cluster-control-worker',
    scripts: [script(worker, 'get_nodes', 0), script(worker, 'dapi', 1)],
  },
  {
    words: '-i -fn w',
    file: '08-cluster-control-worker',
    scripts: [script(worker, 'get_health', 2), config],
  },
  { words: '-l', file: '09-cluster-control-master', scripts: [script(master, 'get_nodes', 0)] },
  {
    words: '-i more',
    file: '09-cluster-control-master',
    scripts: [script(master, 'get_nodes', 2), script(master, 'get_health', 1), config],
  },
  {
    words: '-a',
    file: '09-cluster-control-master',
    scripts: [script(master, 'get_nodes', 0), script(master, 'dapi', 0)],
  },
];

for (const { words, file, scripts } of tables) {
  test(`cluster_control ${words} prints what stock printed in ${file}`, async (t) => {
    const { path } = await playScripts(t, scripts);

    const { printed, outcome } = await run(path, words);

    assert.equal(printed.told, recordedOutput(file, words));
    assert.deepEqual([printed.complained, outcome.exit], ['', 0]);
  });
}

test('the table of two workers is as stock printed it in 31-two-workers', () => {
  const recorded = recordedOutput('31-two-workers', '-l', 'm$');
  const rows = [
    ['m', 'master', '4.14.8', '127.0.0.1'],
    ['w', 'worker', '4.14.8', '127.0.0.1'],
    ['w2', 'worker', '4.14.8', '127.0.0.1'],
  ];

  assert.equal(controlTable(['Name', 'Type', 'Version', 'Address'], rows), recorded);
});

test('--json prints what programs read, and --watch looks again until stopped', async (t) => {
  const { path } = await playScripts(t, [script(master, 'get_nodes', 0)]);

  const { printed } = await run(path, '-l --json --watch 1');

  const [first] = JSON.parse(printed.told);
  assert.deepEqual(first, { name: 'm', type: 'master', version: '4.14.8', address: '127.0.0.1' });
});

test('no cluster, an unknown node and wrong words each have their exit code', async (t) => {
  const { path } = await playScripts(t, [script(master, 'dapi_fwd')]);

  const absent = await run(`${path}.none`, '-l');
  const refused = await run(path, '-l -fn nosuch');
  const wrong = await run(path, '-l -a');

  assert.deepEqual(
    [absent.printed.complained, absent.outcome.exit],
    ['ERROR: Cluster is not running.\n', 1],
  );
  assert.match(refused.printed.complained, /^ERROR: Error 3022/);
  assert.equal(refused.outcome.exit, 1);
  assert.match(wrong.printed.complained, /^ERROR: not allowed together/);
  assert.equal(wrong.outcome.exit, 2);
});

test('called by the name cluster_control the publisher is that tool', () => {
  const main = fileURLToPath(new URL('../../src/publisher-main.ts', import.meta.url));
  const call = (argv0: string) =>
    spawnSync(process.execPath, [main, '-u'], { argv0, encoding: 'utf8' });
  const { status, stdout } = call('/usr/lib/pilotfish-publisher/bin/cluster_control');
  assert.equal(status, 0);
  assert.match(stdout, /^\n {4}cluster_control \[-h\]/);
  assert.equal(call('pilotfish-publisher').status, 2);
});

test('names from the cluster cannot steer the terminal', () => {
  const table = filesTable([
    { node: 'w\u001b[2J', file: 'a\u202eb', state: 'failed', since: '-', reason: 'x\ny' },
  ]);

  assert.doesNotMatch(table.replaceAll('\n', ''), /[\p{Cc}\u202e]/u);
  assert.equal(table.split('\n').length, 3);
});

const parsed: readonly (readonly [string, unknown])[] = [
  ['-l', { kind: 'nodes' }],
  ['-n', { kind: 'nodes' }],
  ['--list-nodes', { kind: 'nodes' }],
  ['--list-n', { kind: 'nodes' }],
  ['-a -fs active pending', { kind: 'agents', statuses: ['active', 'pending'] }],
  ['--agents', { kind: 'agents', statuses: [] }],
  ['-i', { kind: 'health', isLong: false }],
  ['-i MORE', { kind: 'health', isLong: true }],
  ['-imore', { kind: 'health', isLong: true }],
  ['--health=other', { kind: 'health', isLong: false }],
  ['-fs', { kind: 'files', states: [], names: [] }],
  ['-fs failed', { kind: 'files', states: ['failed'], names: [] }],
  ['-l etc/client.keys', { kind: 'files', states: [], names: ['etc/client.keys'] }],
  ['--files a b', { kind: 'files', states: [], names: ['a', 'b'] }],
  ['-u', { kind: 'usage' }],
  ['-d', { kind: 'help' }],
  ['-h -l', { kind: 'help' }],
];

for (const [words, action] of parsed) {
  test(`the arguments ${words} mean ${JSON.stringify(action)}`, () => {
    assert.deepEqual(parseControl(words.split(' ')).action, action);
  });
}

test('-fn without names is not the same as no -fn', () => {
  assert.deepEqual(parseControl(['-l', '-fn']).nodes, []);
  assert.deepEqual(parseControl(['-l', '-fn', 'a', 'b']).nodes, ['a', 'b']);
  assert.equal(parseControl(['-l']).nodes, undefined);
});

for (const words of [
  '-x',
  '-p',
  '--scan',
  '-l -i',
  '-fs nonsense',
  '-i -fs active',
  '--home',
  '--watch 0',
  '-h=1 -z',
]) {
  test(`the arguments ${words} are refused`, () => {
    assert.throws(() => parseControl(words.split(' ')), { reason: 'usage' });
  });
}
