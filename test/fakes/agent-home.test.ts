/** The home a sidecar meets: realistic files, and control programs that behave like the real ones. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { control } from './agent-home.ts';
import { type ConfigTraits, configText } from './agent-home-config.ts';
import { readSettings } from './agent-settings.ts';
import { eventually } from './processes.ts';
import { Stage } from './stage.ts';

const servers = [{ address: '127.0.0.2' }, { address: 'manager-b.example', port: 1600 }];
const variants: readonly Partial<ConfigTraits>[] = [
  {},
  { lineEnd: '\r\n' },
  { oldComments: true },
  { oldComments: true, lineEnd: '\r\n', enrollment: 'absent' },
  { enrollment: 'no', notifyS: 5, reconnectS: 15 },
];

for (const variant of variants) {
  test(`the file has its servers and no others: ${JSON.stringify(variant)}`, () => {
    const text = configText({ servers, ...variant });

    const read = readSettings(Buffer.from(text), 'ossec.conf');

    assert.deepEqual(
      read.servers.map(({ address, port }) => ({ address, port })),
      [
        { address: '127.0.0.2', port: 1514 },
        { address: 'manager-b.example', port: 1600 },
      ],
    );
    assert.equal(text.split('<ossec_config>').length - 1, 2);
    assert.equal(read.enrollment, variant.enrollment !== 'no');
    assert.equal(read.notifyS, variant.notifyS ?? 20);
    assert.equal(/[^\r]\n/.test(text), variant.lineEnd !== '\r\n');
  });
}

interface Refusal {
  readonly name: string;
  readonly file: string;
  readonly code: number;
}

const client = (inside: string): string =>
  `<ossec_config><client>${inside}</client></ossec_config>`;
const refusals: readonly Refusal[] = [
  { name: 'an element that is not closed', file: '<ossec_config><client>', code: 1226 },
  { name: 'a comment that is not closed', file: '<ossec_config></ossec_config><!-- x', code: 1226 },
  { name: 'an XML declaration', file: `<?xml version="1.0"?>${client('')}`, code: 1226 },
  { name: 'no server', file: '<ossec_config></ossec_config>', code: 4105 },
  { name: 'an empty client', file: client(''), code: 1230 },
  {
    name: 'placeholders only',
    file: client('<server><address>MANAGER_IP</address></server>'),
    code: 4112,
  },
  {
    name: 'a port out of range',
    file: client('<server><address>127.0.0.2</address><port>70000</port></server>'),
    code: 1235,
  },
];

describe('the stand-in home', { concurrency: 4 }, () => {
  for (const { name, file, code } of refusals) {
    test(`the agent refuses ${name}: (${code}), exit code 1, also with -t`, (context) => {
      const home = new Stage(context).home();
      home.writeConfig(file);

      const tested = spawnSync(home.agentdPath, ['-t', '-c', home.configPath], {
        encoding: 'utf8',
      });
      const started = spawnSync(home.agentdPath, [], { encoding: 'utf8' });

      assert.equal(tested.status, 1);
      assert.match(tested.stderr, new RegExp(`ERROR: \\(${code}\\): `));
      assert.equal(started.status, 1);
      assert.match(
        home.readLog(),
        new RegExp(`ERROR: \\(${code}\\): .*\\(1215\\): No client`, 's'),
      );
      assert.deepEqual(home.pids, []);
    });
  }

  test('start, status, restart and stop do what their names say', async (context) => {
    const stage = new Stage(context);
    const manager = await stage.manager(stage.a);
    const home = stage.home();

    assert.throws(() => control(home, 'status'));
    control(home, 'start');
    await manager.waitFor({ event: 'agent_connected' });
    const [old] = home.pids;
    assert.match(control(home, 'status'), /wazuh-agentd is running/);

    const mark = manager.mark;
    control(home, 'restart');
    await manager.waitFor({ event: 'agent_connected' }, { after: mark });
    assert.equal(home.pids.length, 1);
    assert.notEqual(home.pids[0], old);

    control(home, 'stop');
    assert.deepEqual(home.pids, []);
    assert.ok(!existsSync(home.statePath));
  });

  test('after a restart the agent starts at the first entry again', async (context) => {
    const stage = new Stage(context);
    await stage.manager(stage.b);
    const home = stage.home({ ...stage.tuned(), agentFlags: ['--state-interval-ms', '50'] });
    control(home, 'start');
    const connectedTo = (address: string) => (): boolean =>
      home.readLog().includes(`(4102): Connected to the server ([${address}]`);
    await eventually('on B', connectedTo(stage.b));

    await stage.manager(stage.a);
    control(home, 'restart');

    await eventually('on A', connectedTo(stage.a));
  });

  test('restart tests the file first and leaves a running agent alone when it is bad', async (context) => {
    const stage = new Stage(context);
    const manager = await stage.manager(stage.a);
    const home = stage.home();
    control(home, 'start');
    await manager.waitFor({ event: 'agent_connected' });
    const before = home.pids;

    home.writeConfig('<ossec_config>');
    assert.throws(() => control(home, 'restart'));

    assert.deepEqual(home.pids, before);
  });

  test('info and VERSION.json tell the version', (context) => {
    const home = new Stage(context).home();

    assert.equal(control(home, 'info', '-v').trim(), 'v4.14.8');
    assert.match(control(home, 'info'), /^WAZUH_VERSION="v4\.14\.8"$/m);
    assert.match(readFileSync(`${home.path}/VERSION.json`, 'utf8'), /"version":"4\.14\.8"/);
  });

  test('an agent in the background dies with the process that owns it', async (context) => {
    const stage = new Stage(context);
    const owner = await stage.manager(stage.a);
    const home = stage.home({ ownerPid: owner.pid });
    control(home, 'start');
    assert.equal(home.pids.length, 1);

    await owner.kill();

    await eventually('the agent is gone', () => home.pids.length === 0);
  });
});
