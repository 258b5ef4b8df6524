import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planRestart, type RestartQuestion, type RestartStep } from '../../src/applier/restart.ts';
import { type ControlSettings, defaultSettings } from '../../src/applier/settings.ts';
import { agentHome, type Platform } from '../../src/wazuh/agent-home.ts';
import { findDeafModules } from '../../src/wazuh/deaf-modules.ts';
import { failsWith } from '../host/config-fixture.ts';

const systemd: ControlSettings = { kind: 'systemd', unit: 'wazuh-agent.service' };
const launchd: ControlSettings = {
  kind: 'launchd',
  label: 'com.wazuh.agent',
  plist: '/Library/LaunchDaemons/com.wazuh.agent.plist',
};

function question(
  control: ControlSettings,
  changes: {
    readonly mode?: 'agentd' | 'service' | 'relay';
    readonly version?: string;
    readonly platform?: Platform;
    readonly deafModules?: readonly string[];
  } = {},
): RestartQuestion {
  const { mode = 'agentd', version = '4.14.8', platform = 'linux', deafModules = [] } = changes;
  return {
    facts: {
      installed: true,
      version,
      running: true,
      pids: [1],
      status: 'connected',
      waiting: false,
      peers: [],
      upgrade: undefined,
    },
    home: agentHome(platform),
    settings: { ...defaultSettings, mode, control },
    deafModules,
    tag: '7',
  };
}

const words = (steps: readonly RestartStep[]): readonly string[] =>
  steps.map((step) => (step.kind === 'run' ? step.argv.join(' ') : step.kind));

test('agentd under systemd: stopped, started through PID 1 as a service, put into the agent’s cgroup', () => {
  const plan = planRestart(question(systemd));
  assert.equal(plan.kind, 'agentd');
  assert.deepEqual(words(plan.steps), [
    'stop',
    'systemd-run --quiet --collect --unit=pilotfish-agentd-7 --property=Type=forking ' +
      '--property=KillMode=process --property=TimeoutStartSec=15 /var/ossec/bin/wazuh-agentd',
    'await_start',
    'join_cgroup',
  ]);
  assert.ok(!JSON.stringify(plan).includes('--scope'));
});

test('agentd is killed after a short deadline, because a wedged one ignores SIGTERM', () => {
  const [stop] = planRestart(question(systemd)).steps;
  assert.deepEqual(stop, { kind: 'stop', daemon: 'agentd', killAfterMs: 2_000 });
});

test('modules that never reopen the queue take modulesd with them', () => {
  const plan = planRestart(question(systemd, { deafModules: ['aws-s3'] }));
  assert.equal(plan.kind, 'agentd');
  assert.match(plan.note ?? '', /aws-s3/);
  assert.deepEqual(
    plan.steps.flatMap((step) => ('daemon' in step && step.kind === 'stop' ? [step.daemon] : [])),
    ['agentd', 'modulesd'],
  );
  assert.match(words(plan.steps).join(' '), /wazuh-modulesd/);
});

const services: readonly (readonly [string, RestartQuestion, readonly string[]])[] = [
  ['systemd', question(systemd, { mode: 'service' }), ['systemctl restart wazuh-agent.service']],
  [
    '5.x on Linux',
    question(systemd, { version: '5.0.0' }),
    ['systemctl restart wazuh-agent.service'],
  ],
  [
    'SysV and containers',
    question({ kind: 'wazuh_control' }, { mode: 'service' }),
    ['/var/ossec/bin/wazuh-control restart'],
  ],
  [
    'launchd',
    question(launchd, { mode: 'service', platform: 'macos' }),
    [
      'launchctl bootout system/com.wazuh.agent',
      'await_exit',
      'launchctl bootstrap system /Library/LaunchDaemons/com.wazuh.agent.plist',
    ],
  ],
  ['5.x on macOS', question(launchd, { version: '5.0.1', platform: 'macos' }), ['request']],
  [
    'Windows, where agentd cannot be restarted alone',
    question({ kind: 'scm', service: 'WazuhSvc' }, { platform: 'windows' }),
    ['sc.exe stop WazuhSvc', 'await_exit', 'sc.exe start WazuhSvc'],
  ],
  [
    'a command without a way for agentd alone',
    question({ kind: 'command', restart: ['/opt/restart', 'all'] }),
    ['/opt/restart all'],
  ],
];
for (const [what, asked, steps] of services) {
  test(`a full restart on ${what}`, () => {
    const plan = planRestart(asked);
    assert.equal(plan.kind, 'service');
    assert.deepEqual(words(plan.steps), steps);
  });
}

test('nothing ever plans a reload: it does not apply servers on 4.14', () => {
  for (const [, asked] of services) {
    assert.ok(!/reload/.test(JSON.stringify(planRestart(asked).steps)));
  }
});

test('without systemd agentd is started directly; on 4.x macOS too', () => {
  const plain = planRestart(question({ kind: 'wazuh_control' }));
  assert.deepEqual(words(plain.steps), ['stop', '/var/ossec/bin/wazuh-agentd', 'await_start']);
  const mac = planRestart(question(launchd, { platform: 'macos' }));
  assert.deepEqual(words(mac.steps), ['stop', '/Library/Ossec/bin/wazuh-agentd', 'await_start']);
});

test('an agent of unknown version is restarted as a whole', () => {
  const asked = question(systemd);
  const { version: _, ...facts } = asked.facts;
  const plan = planRestart({ ...asked, facts });
  assert.equal(plan.kind, 'service');
  assert.match(plan.note ?? '', /unknown version/);
});

test('wazuh-control on Windows is a configuration error', () => {
  const asked = question({ kind: 'wazuh_control' }, { mode: 'service', platform: 'windows' });
  assert.throws(() => planRestart(asked), failsWith('config_invalid'));
});

const modules: readonly (readonly [string, readonly string[]])[] = [
  ['<wodle name="aws-s3"><disabled>no</disabled></wodle>', ['aws-s3']],
  ["<wodle a='x' name='command'><tag>t</tag></wodle>", ['command']],
  ['<wodle name="cis-cat"><disabled>yes</disabled><timeout>1</timeout></wodle>', []],
  [
    '<wodle name="osquery"><!-- <disabled>yes</disabled> --><run_daemon>yes</run_daemon></wodle>',
    ['osquery'],
  ],
  ['<wodle name="syscollector"><disabled>no</disabled></wodle>', []],
  ['<github><enabled>yes</enabled></github>', ['github']],
  ['<office365><enabled>no</enabled></office365>', []],
  ['<!-- <ms-graph><enabled>yes</enabled></ms-graph> -->', []],
  ['<ms-graph', ['a file that cannot be read']],
];
for (const [text, expected] of modules) {
  test(`modules that never reopen the queue in ${text}`, () => {
    assert.deepEqual(
      findDeafModules(Buffer.from(`<ossec_config>${text}</ossec_config>`)),
      expected,
    );
    const shared = Buffer.from(`<agent_config os="Linux">${text}</agent_config>`);
    assert.deepEqual(findDeafModules(shared), expected);
  });
}
