import assert from 'node:assert/strict';
import { test } from 'node:test';
import { balancedServers } from '../../src/balancer/balanced-server.ts';
import { renderHaproxy } from '../../src/balancer/haproxy-config.ts';
import { parseServersState, runtimeCommands } from '../../src/balancer/haproxy-runtime.ts';
import { renderNginx } from '../../src/balancer/nginx-config.ts';
import type { Manager } from '../../src/list/model.ts';

const manager = (id: string, more: Partial<Manager> = {}): Manager => ({
  ...{ id, address: `192.0.2.${id.slice(-1)}`, port: 1_514, protocol: 'tcp', zone: 'default' },
  ...{ prio: 0, weight: 100, state: 'up', ...more },
});

test('states and weights of the list in the words of a balancer', () => {
  const servers = balancedServers([
    manager('wm1', { weight: 200 }),
    manager('wm2', { weight: 50, state: 'drain' }),
    manager('wm3', { weight: 0 }),
    manager('wm4', { prio: 5 }),
    manager('wm5', { state: 'down' }),
    manager('wm6', { protocol: 'udp' }),
  ]);
  assert.deepEqual(
    servers.map(({ name, weight, state, isBackup }) => [name, weight, state, isBackup]),
    [
      ['wm1', 256, 'ready', false],
      ['wm2', 64, 'drain', false],
      ['wm3', 1, 'ready', true],
      ['wm4', 128, 'ready', true],
    ],
  );
});

test('the HAProxy backend checks with the framed ping; a drain is weight 0', () => {
  const servers = balancedServers([
    manager('wm1'),
    manager('wm2', { state: 'drain', address: '2001:db8::2' }),
  ]);
  const text = renderHaproxy(servers, { backend: 'wazuh', balance: 'leastconn' });
  assert.match(text, /send-binary 050000002370696e67/);
  assert.match(
    text,
    /server wm1 192\.0\.2\.1:1514 weight 256 check inter 1s fall 2 rise 2 on-marked-down shutdown-sessions$/m,
  );
  assert.match(text, /server wm2 \[2001:db8::2\]:1514 weight 0 /);
});

test('the nginx upstream: a drain is down, a last resort is backup', () => {
  const text = renderNginx(
    balancedServers([
      manager('wm1'),
      manager('wm2', { state: 'drain' }),
      manager('wm3', { weight: 0 }),
    ]),
    'wazuh',
  );
  assert.match(text, /server 192\.0\.2\.1:1514 weight=256 max_fails=1 fail_timeout=10s;/);
  assert.match(text, /server 192\.0\.2\.2:1514 .* down;/);
  assert.match(text, /server 192\.0\.2\.3:1514 .* backup;/);
});

const table = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 wazuh 1 wm1 192.0.2.1 2 0 256 256 5 15 3 4 6 0 0 0 - 1514 - 0 0 - - 0
3 wazuh 2 wm2 192.0.2.2 2 8 256 256 5 15 3 4 6 0 0 0 - 1514 - 0 0 - - 0
3 wazuh 3 wm9 192.0.2.9 2 1 256 256 5 15 3 4 6 0 0 0 - 1514 - 0 0 - - 0
4 other 1 wm1 192.0.2.1 2 0 1 1 5 15 3 4 6 0 0 0 - 1514 - 0 0 - - 0
`;

test('what HAProxy has is read from its table; anything else is no table', () => {
  assert.deepEqual(
    parseServersState(table, 'wazuh').map(({ name, state }) => [name, state]),
    [
      ['wm1', 'ready'],
      ['wm2', 'drain'],
      ['wm9', 'maint'],
    ],
  );
  for (const bad of ["Can't find backend.", '', '1\n# be_id be_name\n1 wazuh\n']) {
    assert.throws(() => parseServersState(bad, 'wazuh'), TypeError);
  }
});

test('commands: additions and returns first, then drains, then removals; nothing when in step', () => {
  const running = parseServersState(table, 'wazuh');
  const wanted = balancedServers([
    manager('wm1', { state: 'drain' }),
    manager('wm2'),
    manager('wm3'),
  ]);
  const commands = runtimeCommands('wazuh', running, wanted).map(({ text }) => text);
  assert.equal(commands[0], 'set server wazuh/wm2 state ready');
  assert.match(commands[1] ?? '', /^add server wazuh\/wm3 192\.0\.2\.3:1514 weight 256 check/);
  assert.equal(commands.at(-1), 'set server wazuh/wm1 state drain');
  assert.deepEqual(
    runtimeCommands('wazuh', running.slice(0, 1), balancedServers([manager('wm1')])),
    [],
  );
  const gone = runtimeCommands('wazuh', running.slice(0, 2), balancedServers([manager('wm1')]));
  assert.deepEqual(
    gone.map(({ text }) => text),
    [
      'set server wazuh/wm2 state maint',
      'shutdown sessions server wazuh/wm2',
      'del server wazuh/wm2',
    ],
  );
});

test('a manager that changes its address is corrected in place', () => {
  const running = parseServersState(table, 'wazuh').slice(0, 1);
  const wanted = balancedServers([manager('wm1', { address: '198.51.100.7', port: 1_515 })]);
  assert.deepEqual(
    runtimeCommands('wazuh', running, wanted).map(({ text }) => text),
    ['set server wazuh/wm1 addr 198.51.100.7 port 1515'],
  );
});
