import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openAgentControl } from '../../src/host/agent-control.ts';
import { openUnixAgent } from '../../src/host/agent-files.ts';
import { openAgentLog } from '../../src/host/agent-log-file.ts';
import { openPreflight } from '../../src/host/agent-preflight.ts';
import { findDaemons } from '../../src/host/daemon-pids.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import { silentLog } from '../../src/log.ts';
import { type AgentHome, agentHome } from '../../src/wazuh/agent-home.ts';
import { failsWith } from './config-fixture.ts';

function makeHome(context: TestContext): AgentHome {
  const path = mkdtempSync(join(tmpdir(), 'pf-home-'));
  context.after(() => rmSync(path, { recursive: true, force: true, maxRetries: 9 }));
  for (const name of ['var/run', 'var/upgrade', 'bin', 'logs', 'etc', 'queue/sockets']) {
    mkdirSync(join(path, name), { recursive: true });
  }
  return agentHome('linux', path);
}

/** A daemon of this home, by its pid file and its command line. */
async function startDaemon(
  context: TestContext,
  home: AgentHome,
  body: string,
): Promise<ChildProcess> {
  const argv = [
    '-e',
    `${body}; console.log('up'); setInterval(() => 0, 1000)`,
    '--',
    '--home',
    home.home,
  ];
  const daemon = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => daemon.kill('SIGKILL'));
  await once(daemon.stdout, 'data');
  writeFileSync(join(home.pidDirectory ?? '', `wazuh-agentd-${daemon.pid}.pid`), `${daemon.pid}\n`);
  return daemon;
}

const controlOf = (home: AgentHome) =>
  openAgentControl({ home, clock: systemClock, log: silentLog });
const stop = { kind: 'stop', daemon: 'agentd', killAfterMs: 200 } as const;

test('a daemon that obeys is stopped by SIGTERM, a deaf one by SIGKILL', async (context) => {
  for (const [body, signal] of [
    ['0', 'SIGTERM'],
    ["process.on('SIGTERM', () => 0)", 'SIGKILL'],
  ] as const) {
    const home = makeHome(context);
    const daemon = await startDaemon(context, home, body);
    const ended = once(daemon, 'exit');
    await controlOf(home).perform(stop, 1_000);
    assert.deepEqual(await ended, [null, signal]);
    assert.deepEqual(await findDaemons(home, 'wazuh-agentd'), []);
  }
});

test('a pid file that names another program is not believed, so nothing innocent is signalled', async (context) => {
  const home = makeHome(context);
  const bystander = spawn('/bin/sleep', ['30']);
  context.after(() => bystander.kill('SIGKILL'));
  const { pid = 0 } = bystander;
  writeFileSync(join(home.pidDirectory ?? '', `wazuh-agentd-${pid}.pid`), `${pid}\n`);
  assert.deepEqual(await findDaemons(home, 'wazuh-agentd'), []);
  await controlOf(home).perform(stop, 1_000);
  assert.equal(bystander.exitCode ?? bystander.signalCode, null);
});

test('a control program that fails or hangs is E601 with what it said', async (context) => {
  const control = controlOf(makeHome(context));
  const failing = {
    kind: 'run',
    argv: ['/bin/sh', '-c', 'echo no such unit >&2; exit 5'],
  } as const;
  await assert.rejects(
    control.perform(failing, 5_000),
    failsWith('restart_failed', /exit code 5 \(no such unit\)/),
  );
  await control.perform({ ...failing, mayFail: true }, 5_000);
  const hanging = { kind: 'run', argv: ['/bin/sleep', '30'] } as const;
  await assert.rejects(control.perform(hanging, 50), failsWith('restart_failed', /within 50 ms/));
  const missing = { kind: 'run', argv: ['/nonexistent/systemctl'] } as const;
  await assert.rejects(control.perform(missing, 50), failsWith('restart_failed', /ENOENT/));
});

test('a daemon that never appears is E601, not an endless wait', async (context) => {
  const control = controlOf(makeHome(context));
  const waiting = { kind: 'await_start', daemon: 'agentd', timeoutMs: 50 } as const;
  await assert.rejects(control.perform(waiting, 1_000), failsWith('restart_failed', /agentd/));
});

test('the 5.x launcher’s request appears whole, also over the rest of a killed try', async (context) => {
  const home = makeHome(context);
  const path = join(home.home, 'var/run/wazuh-control.request');
  writeFileSync(`${path}.pf`, 'rest of a killed try');
  await controlOf(home).perform({ kind: 'request', path, text: 'restart' }, 1_000);
  assert.equal(readFileSync(path, 'utf8'), 'restart');
});

test('facts of an agent that is not there, and of one that is stopped with a stale state file', async (context) => {
  const home = makeHome(context);
  const agent = openUnixAgent(home, systemClock);
  assert.deepEqual(await agent.readFacts(), {
    installed: false,
    running: false,
    pids: [],
    status: 'unknown',
    waiting: false,
    peers: [],
    upgrade: undefined,
  });
  writeFileSync(home.configPath, '');
  writeFileSync(home.statePath, "status='connected'\n");
  writeFileSync(home.waitPath, '');
  const facts = await agent.readFacts();
  assert.deepEqual(
    [facts.installed, facts.running, facts.status, facts.waiting],
    [true, false, 'connected', true],
  );
});

test('case 92: the upgrade lock and packages_files freeze while young', async (context) => {
  const home = makeHome(context);
  const agent = openUnixAgent(home, systemClock);
  for (const path of home.upgradeLocks) {
    writeFileSync(path, '');
    assert.equal((await agent.readFacts()).upgrade, path);
    const hourAgo = Date.now() / 1_000 - 3_600;
    utimesSync(path, hourAgo, hourAgo);
    assert.equal((await agent.readFacts()).upgrade, undefined);
  }
});

test('a FIFO planted as state file neither hangs nor misleads', async (context) => {
  const home = makeHome(context);
  execFileSync('mkfifo', [home.statePath]);
  const facts = await openUnixAgent(home, systemClock).readFacts();
  assert.equal(facts.status, 'unknown');
});

test('the agent’s log is read from the mark on, and from its start after a rotation', async (context) => {
  const home = makeHome(context);
  const log = openAgentLog(home.logPath);
  assert.equal(await log.mark(), 0);
  writeFileSync(home.logPath, 'old line\n');
  const mark = await log.mark();
  writeFileSync(home.logPath, 'old line\nnew line\n');
  assert.equal(await log.since(mark), 'new line\n');
  writeFileSync(home.logPath, 'rot\n');
  assert.equal(await log.since(mark), 'rot\n');
});

test('case 94: the agent’s own test decides by exit code; its last line is the reason', async (context) => {
  const home = makeHome(context);
  const preflight = openPreflight(home, join(home.home, 'state'));
  assert.equal((await preflight.test(Buffer.from('x'))).kind, 'unknown');
  const script =
    '#!/bin/sh\ngrep -q good "$3" && exit 0\necho first >&2\necho "(1202): bad" >&2\nexit 1\n';
  writeFileSync(home.agentdPath, script, { mode: 0o755 });
  assert.deepEqual(await preflight.test(Buffer.from('good')), { kind: 'accepted' });
  const rejected = await preflight.test(Buffer.from('other'));
  assert.deepEqual(rejected, { kind: 'rejected', why: '(1202): bad' });
});
