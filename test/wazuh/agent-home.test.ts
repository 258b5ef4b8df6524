import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentHome } from '../../src/wazuh/agent-home.ts';
import { findConfigurationFault, showsProgress } from '../../src/wazuh/agent-log.ts';
import { isLockHeld, judgeUpgrade, maxUpgradeMs } from '../../src/wazuh/upgrade-lock.ts';

test('paths of Linux, macOS, Windows and of agents up to 4.1', () => {
  assert.equal(agentHome('linux').configPath, '/var/ossec/etc/ossec.conf');
  assert.equal(agentHome('linux').statePath, '/var/ossec/var/run/wazuh-agentd.state');
  assert.equal(agentHome('linux', '/opt/o', true).agentdPath, '/opt/o/bin/ossec-agentd');
  assert.equal(agentHome('macos').waitPath, '/Library/Ossec/queue/sockets/.wait');
  const windows = agentHome('windows');
  assert.equal(windows.configPath, 'C:\\Program Files (x86)\\ossec-agent\\ossec.conf');
  assert.equal(windows.statePath, 'C:\\Program Files (x86)\\ossec-agent\\wazuh-agent.state');
});

test('case 92: an upgrade lock counts while it is young, whichever form it has', () => {
  const nowMs = 1_000_000_000;
  for (const path of agentHome('linux').upgradeLocks) {
    assert.equal(judgeUpgrade([{ path, modifiedAtMs: nowMs - 60_000 }], nowMs), path);
    assert.equal(judgeUpgrade([{ path, modifiedAtMs: nowMs - maxUpgradeMs }], nowMs), undefined);
  }
  assert.equal(judgeUpgrade([], nowMs), undefined);
});

test('a running dpkg is seen in /proc/locks without taking its lock; a waiter does not count', () => {
  const text =
    '1: POSIX  ADVISORY  WRITE 712 fd:01:131 0 EOF\n2: -> POSIX ADVISORY WRITE 9 fd:01:77 0 EOF\n';
  assert.equal(isLockHeld(text, { major: 0xfd, minor: 1, inode: 131 }), true);
  assert.equal(isLockHeld(text, { major: 0xfd, minor: 1, inode: 77 }), false);
  assert.equal(isLockHeld(text, { major: 0xfd, minor: 2, inode: 131 }), false);
});

test('a log line blames the configuration by its number and severity, with and without debug', () => {
  const fault = "2026/11/21 02:00:00 wazuh-agentd: ERROR: (1226): Error reading XML file 'x'";
  const debug =
    '2026/11/21 02:00:00 wazuh-agentd[12] main.c:5 at main(): CRITICAL: (4112): Invalid';
  assert.equal(findConfigurationFault(`noise\n${fault}\n`), fault);
  assert.equal(findConfigurationFault(debug), debug);
  assert.equal(
    findConfigurationFault("wazuh-agentd: ERROR: (1216): Unable to connect to '[A]:1514/tcp'"),
    undefined,
  );
  assert.equal(
    findConfigurationFault('wazuh-agentd: INFO: (4102): Connected to (1230)'),
    undefined,
  );
  assert.equal(showsProgress("INFO: Trying next server ip in the line: 'B'."), true);
  assert.equal(showsProgress('INFO: Started'), false);
});
