/** `cluster` with the switches of the stock daemon, over real files. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildClusterHost } from '../../../src/cli/build-cluster-host.ts';
import { addCluster } from '../../../src/cli/cluster-commands.ts';
import { parsePublisherConfig } from '../../../src/cli/publisher-config.ts';
import { buildProgram, type Outcome, runCommand } from '../../../src/cli/run-command.ts';
import { until } from '../system/nodes.ts';

const key = 'c98b62a9b6169ac5f67dae55ae4a9088';
const asRoot = 'org: acme\nmanagers:\n  - {id: a, address: a.example}\ncluster: {user: root}\n';
const block = (inner: string): string =>
  `<ossec_config><cluster><key>${key}</key><nodes><node>127.0.0.1</node></nodes>${inner}</cluster></ossec_config>`;

function room(t: TestContext, ossecConf: string) {
  const root = mkdtempSync(join(tmpdir(), 'pf-cluster-cli-'));
  t.after(() => rmSync(root, { recursive: true, force: true, maxRetries: 9 }));
  const home = join(root, 'home');
  mkdirSync(join(home, 'etc'), { recursive: true });
  writeFileSync(join(home, 'etc/ossec.conf'), ossecConf);
  writeFileSync(join(home, 'VERSION.json'), '{"version": "4.14.8", "stage": "rc1"}');
  return { home, dir: join(root, 'state') };
}

async function cli(argv: readonly string[], stop = new AbortController()) {
  const seen = { out: '', err: '', exit: 0 };
  const terminal = {
    out: (text: string): void => {
      seen.out += text;
    },
    err: (text: string): void => {
      seen.err += text;
    },
    isTty: false,
    noColor: true,
    columns: 80,
  };
  const outcome: Outcome = { exit: 0 };
  const program = buildProgram('pilotfish-publisher', 'test', terminal);
  addCluster(program, {
    terminal,
    outcome,
    host: buildClusterHost(),
    defaultDirectory: '/nowhere',
    signals: () => ({ stop: stop.signal, onReload: () => () => undefined }),
  });
  seen.exit = await runCommand(program, ['cluster', ...argv], terminal, outcome);
  return seen;
}

test('-t is content with a good configuration and says what is odd about it', async (t) => {
  const { home, dir } = room(t, block('<node_type>client</node_type><interval>2m</interval>'));
  const seen = await cli(['-t', '--home', home, '--dir', dir]);
  assert.equal(seen.exit, 0);
  assert.match(seen.err, /INFO: Deprecated node type 'client'/);
  assert.match(seen.err, /WARNING: Detected a deprecated configuration/);
});

test('-t exits with 1 and the stock text for a bad one, with -c for another file', async (t) => {
  const { home, dir } = room(t, block(''));
  writeFileSync(join(home, 'etc/other.conf'), block('<port>80</port>'));
  const seen = await cli(['-t', '--home', home, '--dir', dir, '-c', 'etc/other.conf']);
  assert.equal(seen.exit, 1);
  assert.match(seen.err, /Error 3004 - Error in cluster configuration: Port must be higher/);
});

test('a bad configuration is told in cluster.log as stock tells it, and run ends with 1', async (t) => {
  const { home, dir } = room(t, block('<port>80</port>'));
  mkdirSync(join(home, 'logs'));
  const argv = ['--home', home, '--dir', dir];
  assert.equal((await cli([...argv, '-t'])).exit, 1);
  assert.equal((await cli(argv)).exit, 1);
  assert.equal((await cli([...argv, '-c', '/nonexistent'])).exit, 1);
  const lines = readFileSync(join(home, 'logs/cluster.log'), 'utf8').trim().split('\n');
  assert.equal(lines.length, 3);
  const text = 'Error 3004 - Error in cluster configuration: Port must be higher than 1024';
  assert.ok(lines[0]?.includes(` ERROR: [Cluster] [Main] ${text}`));
  assert.ok(lines[1]?.includes(text));
  assert.match(lines[2] ?? '', /\/nonexistent/);
});

test('an address that is taken is told in cluster.log, and run ends with 1', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const { home, dir } = room(t, block(`<port>${port}</port><bind_addr>127.0.0.1</bind_addr>`));
  mkdirSync(dir);
  writeFileSync(join(dir, 'publisher.yml'), asRoot);
  assert.equal((await cli(['-r', '--home', home, '--dir', dir])).exit, 1);
  const log = readFileSync(join(home, 'logs/cluster.log'), 'utf8');
  assert.match(
    log,
    /ERROR: \[Cluster\] \[Main\] Could not start master: 127\.0\.0\.1:.*EADDRINUSE/,
  );
});

test('wazuh_clusterd.debug of the internal options outranks -d, the local file first', async (t) => {
  const { home, dir } = room(t, block('<bind_addr>127.0.0.1</bind_addr><port>29518</port>'));
  writeFileSync(join(home, 'etc/internal_options.conf'), 'wazuh_clusterd.debug=0\n');
  writeFileSync(join(home, 'etc/local_internal_options.conf'), '# x\nwazuh_clusterd.debug = 1\n');
  mkdirSync(dir);
  writeFileSync(join(dir, 'publisher.yml'), asRoot);
  const stop = new AbortController();
  const running = cli(['-r', '--home', home, '--dir', dir], stop);
  const log = join(home, 'logs/cluster.log');
  await until('debug', () => existsSync(log) && / DEBUG: /.test(readFileSync(log, 'utf8')));
  stop.abort();
  assert.equal((await running).exit, 0);
});

test('-t exits with 0 where the cluster is disabled or absent, and run ends at once', async (t) => {
  const { home, dir } = room(t, '<ossec_config></ossec_config>');
  assert.equal((await cli(['-t', '--home', home, '--dir', dir])).exit, 0);
  assert.equal((await cli(['--home', home, '--dir', dir])).exit, 0);
  assert.equal(existsSync(dir), false);
});

test('-V tells the version of Wazuh that peers are shown', async (t) => {
  const { home, dir } = room(t, block(''));
  assert.match((await cli(['-V', '--home', home, '--dir', dir])).out, /Wazuh 4\.14\.8/);
});

test('a running node writes cluster.log in the stock format, and its status', async (t) => {
  const { home, dir } = room(t, block('<port>29516</port><bind_addr>127.0.0.1</bind_addr>'));
  mkdirSync(dir);
  const yml = 'org: acme\nmanagers:\n  - {id: a, address: a.example}\ncluster: {user: root}\n';
  writeFileSync(join(dir, 'publisher.yml'), yml);
  const stop = new AbortController();
  const running = cli(['-r', '-d', '--home', home, '--dir', dir], stop);
  const log = join(home, 'logs/cluster.log');
  await until('log', () => existsSync(log) && readFileSync(log, 'utf8').includes('Calculated'));
  const status = await cli(['status', '--json', '--dir', dir]);
  stop.abort();
  assert.equal((await running).exit, 0, (await running).err);
  assert.match(
    readFileSync(log, 'utf8'),
    /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d INFO: \[Master\] \[Main\] Serving on \('127\.0\.0\.1', 29516\)$/m,
  );
  assert.equal(JSON.parse(status.out).role, 'master');
});

test('-f logs to standard error too, -d with DEBUG lines; SIGTERM ends it in order', async (t) => {
  const { home, dir } = room(t, block('<port>29517</port><bind_addr>127.0.0.1</bind_addr>'));
  mkdirSync(dir);
  const yml = 'org: acme\nmanagers:\n  - {id: a, address: a.example}\ncluster: {user: root}\n';
  writeFileSync(join(dir, 'publisher.yml'), yml);
  const main = fileURLToPath(new URL('../../../src/publisher-main.ts', import.meta.url));
  const argv = [main, 'cluster', '-f', '-r', '-d', '--home', home, '--dir', dir];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let shown = '';
  child.stderr.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
  });
  let told = '';
  child.stdout.on('data', (chunk: Buffer) => {
    told += chunk.toString();
  });
  await until('served', () => /INFO: \[Master\] \[Main\] Serving on/.test(shown));
  await until('debug', () => /DEBUG: \[Master\] \[Keep alive\] Calculating\./.test(shown));
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  assert.equal(code, 0, shown);
  assert.ok(told.startsWith(`Starting cluster in foreground (pid: ${child.pid})\n`), told);
  const leave = 'SIGNAL [(15)-(SIGTERM)] received. Closing cluster connections gracefully. Exit...';
  assert.ok(shown.includes(` INFO: [Cluster] [Main] ${leave}\n`), shown);
  const log = readFileSync(join(home, 'logs/cluster.log'), 'utf8').split('\n');
  assert.ok(log.filter((line) => line !== '').every((line) => shown.includes(line)));
});

test('accept-deletions and forget-peer check their arguments', async (t) => {
  const { dir } = room(t, block(''));
  assert.equal((await cli(['accept-deletions', '../x', '--dir', dir])).exit, 2);
  assert.equal((await cli(['accept-deletions', 'w1', '--dir', dir])).exit, 0);
  assert.equal((await cli(['forget-peer', 'w1', '--dir', dir])).exit, 1);
});

test('publisher.yml takes a cluster section: the home of a manager, or the options', () => {
  const base = 'org: acme\nmanagers:\n  - {id: a, address: a.example}\n';
  const { cluster } = parsePublisherConfig(
    `${base}cluster:\n  node: {type: worker, name: w1, key: ${key}, master: 10.0.0.1}\n`,
    'publisher.yml',
  );
  assert.equal(cluster?.node?.port, 1516);
  assert.equal(cluster?.peers, 'any');
  assert.equal(parsePublisherConfig(base, 'publisher.yml').cluster, undefined);
});

for (const [allKeysOn, told] of [
  [['w1', 'w2'], 'every key of agents is on w1, w2: as a master none of them would lose one'],
  [[], 'no worker has every key of agents: do not promote one now'],
] as const) {
  test(`status tells who could become the master: ${allKeysOn.join(', ') || 'nobody'}`, async (t) => {
    const { dir } = room(t, block(''));
    mkdirSync(dir);
    const status = { writtenAtMs: 1, node: 'm', role: 'master', allKeysOn, peers: [] };
    writeFileSync(join(dir, 'cluster-status.json'), JSON.stringify(status));

    const text = await cli(['status', '--dir', dir]);
    const json = await cli(['status', '--json', '--dir', dir]);

    assert.ok(text.out.includes(told), text.out);
    assert.deepEqual(JSON.parse(json.out).allKeysOn, allKeysOn);
  });
}
