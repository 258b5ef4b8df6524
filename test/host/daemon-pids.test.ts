/** Who counts as a living daemon of this agent: believed by evidence, never by a pid file alone. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openAgentControl } from '../../src/host/agent-control.ts';
import { findDaemons } from '../../src/host/daemon-pids.ts';
import { processStamp } from '../../src/host/process-identity.ts';
import { systemClock as clock } from '../../src/host/system-clock.ts';
import { silentLog as log } from '../../src/log.ts';
import { type AgentHome, agentHome } from '../../src/wazuh/agent-home.ts';
import { eventually } from '../fakes/processes.ts';

function makeHome(context: TestContext): AgentHome {
  const path = mkdtempSync(join(tmpdir(), 'pf-pids-'));
  context.after(() => rmSync(path, { recursive: true, force: true, maxRetries: 9 }));
  mkdirSync(join(path, 'var/run'), { recursive: true });
  return agentHome('linux', path);
}

const stateOf = (pid: number): string | undefined =>
  /\) ([A-Z]) /.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1];

/** A daemon of this home whose parent never looks: dead, it stays behind as a zombie. */
async function daemonNobodyReaps(
  context: TestContext,
  home: AgentHome,
  trap: string,
): Promise<number> {
  const note = join(home.home, 'pid');
  const daemon = `${trap}; echo $$ > "${note}"; while :; do sleep 0.05; done`;
  const script = `/bin/sh -c '${daemon}' agentd --home "${home.home}" & exec sleep 60`;
  const parent = spawn('/bin/sh', ['-c', script], { stdio: 'ignore' });
  context.after(() => parent.kill('SIGKILL'));
  const read = (): string => {
    try {
      return readFileSync(note, 'utf8').trim();
    } catch {
      return '';
    }
  };
  await eventually('the daemon runs', () => read() !== '');
  const pid = Number(read());
  writeFileSync(join(home.pidDirectory ?? '', `wazuh-agentd-${pid}.pid`), `${pid}\n`);
  return pid;
}

for (const [what, trap] of [
  ['obeys SIGTERM', ':'],
  ['has to be killed', 'trap "" TERM'],
] as const) {
  test(`an agentd that ${what} and stays behind as a zombie is gone: nobody waits for it`, async (context) => {
    const home = makeHome(context);
    const pid = await daemonNobodyReaps(context, home, trap);
    assert.deepEqual(await findDaemons(home, 'wazuh-agentd'), [pid]);
    const control = openAgentControl({ home, clock, log });
    const startedMs = performance.now();
    await control.perform({ kind: 'stop', daemon: 'agentd', killAfterMs: 300 }, 60_000);
    assert.ok(performance.now() - startedMs < 30_000);
    // An exiting process loses its command line first, and is a zombie a moment later.
    await eventually('it is a zombie', () => stateOf(pid) === 'Z');
    assert.equal(await processStamp(pid), undefined);
    assert.deepEqual(await findDaemons(home, 'wazuh-agentd'), []);
    await control.perform({ kind: 'await_exit', timeoutMs: 30_000 }, 30_000);
  });
}

test('a pid file that names a bystander who merely speaks of the agent names no daemon', async (context) => {
  const home = makeHome(context);
  const bystanders = [
    ['/bin/sh', '-c', 'sleep 30; :', 'tar', home.home],
    ['/bin/sh', '-c', 'sleep 30; :', 'wazuh-agentd', home.agentdPath],
  ];
  for (const [program = '', ...parameters] of bystanders) {
    const { pid = 0, ...bystander } = spawn(program, parameters, { stdio: 'ignore' });
    context.after(() => process.kill(pid, 'SIGKILL'));
    assert.ok(bystander);
    writeFileSync(join(home.pidDirectory ?? '', `wazuh-agentd-${pid}.pid`), `${pid}\n`);
  }
  assert.deepEqual(await findDaemons(home, 'wazuh-agentd'), []);
});

test('pid files with names that are no numbers, or of nobody, name no daemon', async (context) => {
  const home = makeHome(context);
  const names = ['wazuh-agentd-.pid', 'wazuh-agentd-1x.pid', 'wazuh-agentd--1.pid'];
  names.push('wazuh-agentd-4194305.pid', `wazuh-agentd-${process.pid}.pid`, 'wazuh-agentd-1.pid');
  for (const name of names) writeFileSync(join(home.pidDirectory ?? '', name), '1\n');
  assert.deepEqual(await findDaemons(home, 'wazuh-agentd'), []);
});
