/**
 * Keys seeded as canaries, then a life: init, join, run, report, a node of the cluster, apply, restore.
 * Afterwards none of them stands in an argument or an environment of any process of this machine, in
 * what a program said, in a log, or in a file that everybody may read.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { currentSession } from '../../scripts/demonstration/acts.ts';
import { Stage } from '../../scripts/demonstration/stage.ts';
import { control } from '../fakes/agent-home.ts';
import { eventually, freePort, ownAddress } from '../fakes/processes.ts';

const sidecarMain = fileURLToPath(new URL('../../src/sidecar-main.ts', import.meta.url));
const publisherMain = fileURLToPath(new URL('../../src/publisher-main.ts', import.meta.url));
const processes = '/proc';

type Secrets = ReadonlyMap<string, string>;

/** What others could read, by where it is. */
type Readable = ReadonlyMap<string, string>;

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // it ended, or is not ours to read
  }
}

/** Every private key that `init` made, in the forms that it is kept in. */
function privateKeys(folder: string): Secrets {
  const found = new Map<string, string>();
  for (const path of filesBelow(folder)) {
    const text = readFileSync(path, 'latin1');
    for (const [, secret = ''] of text.matchAll(/"d"\s*:\s*"([\w-]{20,})"/g)) {
      found.set(`${path} (JWK)`, secret);
    }
    // The end of the body: its beginning is the same in every key.
    for (const [, body = ''] of text.matchAll(/-BEGIN [A-Z ]*PRIVATE KEY-----([^-]+)-----END/g)) {
      found.set(`${path} (PEM)`, body.trim().slice(-40));
    }
  }
  return found;
}

/** Arguments and environments, of whoever runs. */
function readProcesses(): Readable {
  const ids = readdirSync(processes).filter((name) => /^\d+$/.test(name));
  return new Map(
    ids.flatMap((id) =>
      ['cmdline', 'environ'].map((name): [string, string] => {
        const path = `${processes}/${id}/${name}`;
        return [path, tryRead(path)];
      }),
    ),
  );
}

function countReports(path: string): number {
  try {
    const database = new DatabaseSync(path, { readOnly: true });
    const row = database.prepare('SELECT count(*) AS number FROM agents').get();
    database.close();
    return Number(row?.number);
  } catch {
    return 0; // not made yet
  }
}

/** Files that everybody may read, and logs, whoever may read them. */
function readFiles(folder: string): Readable {
  const open = filesBelow(folder).filter((path) => {
    const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
    return (mode & 0o004) !== 0 || /\.log$|events|audit/.test(path);
  });
  return new Map(open.map((path) => [path, tryRead(path)]));
}

/** As it is, and as base64 or hex of it. */
function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  return [secret, bytes.toString('base64').replaceAll('=', ''), bytes.toString('hex')];
}

function leaks(secrets: Secrets, readable: Readable): readonly string[] {
  return [...readable].flatMap(([place, text]) =>
    [...secrets].flatMap(([name, secret]) =>
      formsOf(secret).some((form) => text.includes(form)) ? [`${name}: in ${place}`] : [],
    ),
  );
}

test('no key stands in arguments, environments, logs, output or files that everybody may read', {
  skip: process.platform !== 'linux' && 'looks into /proc',
}, async () => {
  const addresses = [71, 72].map(ownAddress);
  const stage = Stage.make({ addresses, servers: addresses.map((address) => ({ address })) });
  after(() => stage.stop());
  const seeded = {
    agent: randomBytes(32).toString('hex'),
    cluster: randomBytes(16).toString('hex'),
  };
  const agentKeys = join(stage.home.path, 'etc/client.keys');
  writeFileSync(agentKeys, `001 standin any ${seeded.agent}\n`);
  await stage.startManagers();
  await stage.startPublisher();
  await stage.publisher?.kill();

  const manager = join(stage.directory, 'manager');
  for (const name of ['etc', 'logs', 'queue', 'var'])
    mkdirSync(join(manager, name), { recursive: true });
  const port = await freePort('127.0.0.1');
  const at = { port, bindAddress: '127.0.0.1', master: '127.0.0.1' };
  const node = { name: 'n1', type: 'master', key: seeded.cluster, ...at };
  const config = join(stage.publisherDirectory, 'publisher.yml');
  const settings = {
    ...(parse(readFileSync(config, 'utf8')) as object),
    reports: { keys: agentKeys },
    cluster: { home: manager, version: '4.14.8', database: 'embedded', debug: 2, node },
    log: { level: 'debug' },
  };
  writeFileSync(config, stringify(settings));
  // All that it says, into a file of its own.
  const start = (name: string, ...argv: readonly string[]) => {
    const shell = ['/bin/sh', '-c', `exec "$0" "$@" >'${join(stage.directory, name)}.log' 2>&1`];
    return stage.startProgram([...shell, process.execPath, ...argv]);
  };
  start('publisher', publisherMain, 'run', '--dir', stage.publisherDirectory);
  control(stage.home, 'start');
  await currentSession(stage);
  stage.writeSidecarConfig({ ...stage.livelyConfig(), log: { level: 'debug' } });
  const token = stage.join();
  const sidecar = start('sidecar', sidecarMain, 'run', '--config', stage.configPath);
  await stage.allSeenUp();
  const reports = join(stage.publisherDirectory, 'reports.db');
  await eventually('the sidecar has reported', () => countReports(reports) > 0, 120_000);
  const atWork = readProcesses();
  const said = new Map<string, string>();
  for (const words of [
    ['status', '--why'],
    ['plan', '--diff'],
  ]) {
    const { stdout, stderr } = stage.sidecarRun(...words);
    said.set(`pilotfish ${words.join(' ')}`, stdout + stderr);
  }
  sidecar.signal('SIGTERM');
  await sidecar.ended;
  const { stdout, stderr } = stage.sidecarRun('restore', '--original');
  said.set('pilotfish restore', stdout + stderr);

  const keys = new Map([
    ...privateKeys(stage.publisherDirectory),
    ['key of the agent', seeded.agent],
    ['key of the cluster', seeded.cluster],
  ]);
  assert.ok(keys.size >= 5, `only these were looked for: ${[...keys.keys()].join(', ')}`);
  const files = readFiles(stage.directory);
  for (const name of ['publisher.log', 'sidecar.log', 'agent/logs/ossec.log']) {
    assert.ok((files.get(join(stage.directory, name)) ?? '').length > 100, `${name} says nothing`);
  }
  for (const [place, text] of said) assert.notEqual(text.trim(), '', place);
  const all = new Map([...keys, ['join token', token]]);
  // The token holds no secret, and still is nobody's business: it only was an argument of `join`.
  const found = [
    ...leaks(all, atWork),
    ...leaks(all, said),
    ...leaks(all, readProcesses()),
    ...leaks(all, files),
  ];
  assert.deepEqual(found, []);
});
