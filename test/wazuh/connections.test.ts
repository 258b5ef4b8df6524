import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  canonicalAddress,
  parseLsof,
  parseNetstat,
  parseProcNetTcp,
} from '../../src/wazuh/connections.ts';

test('/proc/net/tcp: established lines give peer, owner and inode; listeners are left out', () => {
  const text = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1843 1 0000000000000000 100 0 0 10 0
   1: 0100007F:BB61 0132 01 garbage
   2: 0100007F:BB61 0100327F:05EA 01 00000000:00000000 02:000A7214 00000000   998        0 20877 2 0000000000000000 20 4 30 10 -1
`;
  assert.deepEqual(parseProcNetTcp(text), [
    { address: '127.50.0.1', port: 1514, localPort: 47_969, uid: 998, inode: '20877' },
  ]);
});

test('/proc/net/tcp6: addresses are canonical, IPv4-mapped ones plain IPv4', () => {
  const line = (remote: string): string =>
    `   0: 00000000000000000000000001000000:8235 ${remote}:05EA 01 00000000:00000000 00:00000000 00000000   998        0 31 1 0 20 4 24 10 -1\n`;
  const text = line('B80D0120000000000000000001000000') + line('0000000000000000FFFF0000010A0A0A');
  assert.deepEqual(
    parseProcNetTcp(text).map((peer) => peer.address),
    ['2001:db8::1', '10.10.10.1'],
  );
});

test('netstat -ano: only established lines of that process, also in German', () => {
  const text = [
    'Active Connections',
    '  Proto  Local Address          Foreign Address        State           PID',
    '  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       912',
    '  TCP    10.0.0.5:50123         10.0.0.1:1514          ESTABLISHED     4242',
    '  TCP    [fe80::1%3]:50124      [2001:DB8::7]:1514     HERGESTELLT     4242',
    '  TCP    10.0.0.5:50125         10.0.0.9:443           ESTABLISHED     77',
    '  UDP    0.0.0.0:500            *:*                                    4242',
  ].join('\r\n');
  assert.deepEqual(parseNetstat(text, 4242), [
    { address: '10.0.0.1', port: 1514, localPort: 50_123 },
    { address: '2001:db8::7', port: 1514, localPort: 50_124 },
  ]);
});

test('lsof field output gives both ends', () => {
  const text =
    'p501\nf9\nn127.0.0.1:47969->127.50.0.1:1514\nf10\nn[::1]:50000->[::1]:1515\nf11\nn*:80\n';
  assert.deepEqual(parseLsof(text), [
    { address: '127.50.0.1', port: 1514, localPort: 47_969 },
    { address: '::1', port: 1515, localPort: 50_000 },
  ]);
});

test('one address has one spelling', () => {
  assert.equal(canonicalAddress('2001:0DB8:0000:0000:0000:0000:0000:0001'), '2001:db8::1');
  assert.equal(canonicalAddress('::FFFF:10.0.0.1'), '10.0.0.1');
  assert.equal(canonicalAddress('WM-01.Example'), 'wm-01.example');
});
