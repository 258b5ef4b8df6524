/** What people wrote for HAProxy and nginx, as sections of publisher.yml. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readHaproxy } from '../../src/balancer/import-haproxy.ts';
import { readNginx } from '../../src/balancer/import-nginx.ts';
import { choosePool } from '../../src/balancer/import-pool.ts';
import { sectionsOf } from '../../src/cli/publisher-import-pool.ts';

const haproxy = `global
  log stdout format raw local0   # not a server
defaults
  mode tcp
frontend wazuh_reporting_front
  bind :1514
  default_backend wazuh_reporting
backend wazuh_register
  balance leastconn
  server master 10.0.0.1:1515 check
backend wazuh_reporting
  balance leastconn
  server master 10.0.0.1:1514 check weight 50
  server worker.1 wm2.example.org:1514 check weight 100 # big
  server v6 [2001:db8::7]:1514 backup
  server off ipv4@10.0.0.9:1514 weight 0 disabled
  server sock unix@/run/x.sock
backend web
  mode http
  server w 10.0.0.5:80
`;

test('HAProxy: the named backend, weights in proportion, backups later, disabled ones drained', () => {
  const pools = readHaproxy(haproxy);
  assert.throws(
    () => choosePool(pools, undefined, 'haproxy.cfg'),
    /several; name one.*wazuh_register/,
  );
  const pool = choosePool(pools, 'wazuh_reporting', 'haproxy.cfg');
  assert.match(pool.notes.join(), /server sock is left out/);
  const { managers, balancers } = sectionsOf(pool);
  assert.deepEqual(
    managers.map(({ id, address, port, prio, weight, state }) => [
      id,
      address,
      port,
      prio,
      weight,
      state,
    ]),
    [
      ['master', '10.0.0.1', 1514, 0, 50, 'up'],
      ['worker-1', 'wm2.example.org', 1514, 0, 100, 'up'],
      ['v6', '2001:db8::7', 1514, 1, 1, 'up'],
      ['off', '10.0.0.9', 1514, 0, 0, 'drain'],
    ],
  );
  assert.equal(balancers[0]?.kind, 'haproxy');
  assert.throws(() => choosePool(pools, 'web', 'haproxy.cfg'), /no servers to take over/);
});

test('nginx: upstreams of stream and of included parts, none of http', () => {
  const text = `http { upstream web { server 10.0.0.5:80; } }
stream {
  upstream mycluster {
    hash $remote_addr consistent; # documented
    server 10.0.0.1:1514 weight=2;
    server "wm2.example.org:1514" backup;
    server 10.0.0.1:1515 down;
    server unix:/run/x.sock;
  }
  server { listen 1514; proxy_pass mycluster; }
}`;
  const pool = choosePool(readNginx(text), undefined, 'nginx.conf');
  assert.equal(pool.name, 'mycluster');
  assert.match(pool.notes.join(), /unix:/);
  assert.deepEqual(
    sectionsOf(pool).managers.map(({ id, port, prio, weight, state }) => [
      id,
      port,
      prio,
      weight,
      state,
    ]),
    [
      ['10-0-0-1', 1514, 0, 100, 'up'],
      ['wm2-example-org', 1514, 1, 50, 'up'],
      ['10-0-0-1-1515', 1515, 0, 50, 'drain'],
    ],
  );
  assert.equal(readNginx('upstream part { server 10.0.0.1:1514; }')[0]?.servers.length, 1);
  assert.deepEqual(readNginx('upstream { { ; } "'), []);
});

test('whatever the text is, reading it ends', () => {
  for (const text of ['', '}'.repeat(1_000), '{'.repeat(1_000), 'server', 'backend\nserver\n']) {
    assert.ok(readHaproxy(text).length <= 1);
    assert.deepEqual(readNginx(text), []);
  }
});
