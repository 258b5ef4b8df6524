import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Interfaces, readOwnAddresses } from '../../src/host/own-addresses.ts';

const face = (address: string) => ({
  ...{ address, netmask: '255.255.0.0', family: 'IPv4' as const, mac: '00:00:00:00:00:00' },
  ...{ internal: false, cidr: `${address}/16` },
});
const interfaces: Interfaces = {
  eth0: [face('10.1.2.3'), face('192.0.2.7')],
  docker0: [face('10.1.0.1')],
  'br-77ab': [face('10.1.0.2')],
  tailscale0: [face('10.1.0.3')],
  wg0: [face('10.1.0.4')],
  'flannel.1': [face('10.1.0.5')],
  eth1: [face('10.7.0.1'), face('10.7.0.2')],
};
const none = { named: [], networks: [] };

/** In a volume as Kubernetes makes it: a link to a link to a folder of the moment. */
function fileOf(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'pf-labels-'));
  t.after(() => rmSync(folder, { recursive: true, maxRetries: 9 }));
  mkdirSync(join(folder, '..2026_11_29'));
  writeFileSync(join(folder, '..2026_11_29/labels'), text);
  symlinkSync('..2026_11_29', join(folder, '..data'));
  symlinkSync('..data/labels', join(folder, 'labels'));
  return join(folder, 'labels');
}

test('a network finds the one address of this host in it, never that of a bridge, container or tunnel', async () => {
  const networks = [{ zone: 'lan', network: '10.1.0.0/16', port: 1515 }];
  assert.deepEqual(await readOwnAddresses({ ...none, networks }, interfaces), {
    addresses: [{ zone: 'lan', address: '10.1.2.3', port: 1515 }],
    faults: [],
  });
});

test('none or several are told, and nothing is guessed', async () => {
  const networks = ['203.0.113.0/24', '10.7.0.0/16'].map((network) => ({ zone: 'x', network }));
  const { addresses, faults } = await readOwnAddresses({ ...none, networks }, interfaces);
  assert.deepEqual(addresses, []);
  assert.match(faults[0] ?? '', /no address in 203\.0\.113\.0\/24; expected: one/);
  assert.match(faults[1] ?? '', /2 addresses \(10\.7\.0\.1, 10\.7\.0\.2\) in 10\.7\.0\.0\/16/);
});

test('the interfaces of this very host: its loopback is never found', async () => {
  const networks = [{ zone: 'x', network: '127.0.0.0/8' }];
  const { addresses } = await readOwnAddresses({ ...none, networks }, networkInterfaces());
  assert.deepEqual(addresses, []);
});

test('labels as the downward API writes them, and what is written down goes first', async (t) => {
  const labels = fileOf(
    t,
    [
      'app="wazuh-manager"',
      'address.pilotfish/dmz="203.0.113.7:2514"',
      'address.pilotfish/v6="[2001:db8::7]:1514"',
      'address.pilotfish/bare6="2001:db8::8"',
      'address.pilotfish/lan="10.9.9.9"',
      'address.pilotfish/bad="x</address><command>"',
      'address.pilotfish/port="203.0.113.7:99999"',
    ].join('\n'),
  );
  const named = [{ zone: 'lan', address: 'wm1.lan.example' }];
  const { addresses, faults } = await readOwnAddresses({ named, networks: [], labels }, interfaces);
  assert.deepEqual(addresses, [
    { zone: 'lan', address: 'wm1.lan.example' },
    { zone: 'dmz', address: '203.0.113.7', port: 2514 },
    { zone: 'v6', address: '2001:db8::7', port: 1514 },
    { zone: 'bare6', address: '2001:db8::8' },
  ]);
  assert.deepEqual(
    faults.map((text) => text.split(':')[0]),
    ['label address.pilotfish/bad', 'label address.pilotfish/port'],
  );
});

test('a file of labels that is not there is told', async () => {
  const { faults } = await readOwnAddresses({ ...none, labels: '/nonexistent/labels' }, {});
  assert.match(faults[0] ?? '', /cannot be read/);
});
