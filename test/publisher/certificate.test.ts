import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createServer, connect as tlsConnect } from 'node:tls';
import { openIdentity } from '../../src/cli/build-publisher-identity.ts';
import { parsePublisherConfig } from '../../src/cli/publisher-config.ts';
import { buildCertificateMaker } from '../../src/host/certificate-maker.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { silentLog } from '../../src/log.ts';
import { objectId, time, unsigned } from '../../src/publisher/der.ts';
import { hostsOf, renewalReason } from '../../src/publisher/server-identity.ts';

const maker = buildCertificateMaker(systemClock, systemRandom);
const dayMs = 86_400_000;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('DER: object ids, numbers and times are spelled as X.690 and RFC 5280 ask', () => {
  assert.equal(hex(objectId('1.2.840.10045.4.3.2')), '06082a8648ce3d040302');
  assert.equal(hex(unsigned(Buffer.from([0, 0, 0x80]))), '02020080');
  assert.equal(hex(unsigned(Buffer.from([0]))), '020100');
  assert.equal(Buffer.from(time(Date.UTC(2049, 11, 31))).toString('latin1', 2), '491231000000Z');
  assert.equal(Buffer.from(time(Date.UTC(2050, 0, 1))).toString('latin1', 2), '20500101000000Z');
});

test('a server certificate verifies under its authority and names exactly its hosts', () => {
  const authority = maker.makeAuthority({ org: 'acme', validDays: 3650 });
  const hosts = ['p1.example', '127.0.0.1', '2001:db8::1'];
  const server = maker.makeServer({ authority, hosts, validDays: 30 });
  const ca = new X509Certificate(authority.certificatePem);
  const leaf = new X509Certificate(server.certificatePem);
  assert.ok(ca.ca && ca.verify(ca.publicKey));
  assert.ok(!leaf.ca && leaf.checkIssued(ca) && leaf.verify(ca.publicKey));
  assert.equal(
    leaf.subjectAltName,
    'DNS:p1.example, IP Address:127.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1',
  );
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  const facts = maker.inspect(server.certificatePem);
  assert.ok(hosts.every((host) => facts.covers(host)));
  assert.ok(!facts.covers('p2.example') && !facts.covers('127.0.0.2'));
});

test('OpenSSL accepts the chain in a TLS 1.3 handshake with full verification', async (t) => {
  const authority = maker.makeAuthority({ org: 'acme', validDays: 3650 });
  const { certificatePem, keyPem } = maker.makeServer({
    authority,
    hosts: ['127.0.0.1'],
    validDays: 30,
  });
  const server = createServer({ cert: certificatePem, key: keyPem, minVersion: 'TLSv1.3' });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const socket = tlsConnect({ host: '127.0.0.1', port, ca: authority.certificatePem });
  await once(socket, 'secureConnect');
  assert.equal(socket.authorized, true);
  socket.destroy();
  const stranger = maker.makeAuthority({ org: 'acme', validDays: 3650 });
  const refused = tlsConnect({ host: '127.0.0.1', port, ca: stranger.certificatePem });
  await assert.rejects(once(refused, 'secureConnect'));
});

test('a certificate is renewed when it ends soon, lacks a host or has another authority', () => {
  const authority = maker.makeAuthority({ org: 'acme', validDays: 3650 });
  const facts = maker.inspect(
    maker.makeServer({ authority, hosts: ['a.example'], validDays: 30 }).certificatePem,
  );
  const wanted = { authorityPem: authority.certificatePem, hosts: ['a.example'] };
  const nowMs = Date.now();
  assert.equal(renewalReason(facts, wanted, nowMs), undefined);
  assert.equal(renewalReason(facts, wanted, nowMs + 19 * dayMs), undefined);
  assert.equal(renewalReason(facts, wanted, nowMs + 21 * dayMs), 'it ends soon');
  assert.match(
    renewalReason(facts, { ...wanted, hosts: ['b.example'] }, nowMs) ?? '',
    /b\.example/,
  );
  const other = maker.makeAuthority({ org: 'acme', validDays: 3650 }).certificatePem;
  assert.match(renewalReason(facts, { ...wanted, authorityPem: other }, nowMs) ?? '', /authority/);
});

test('a certificate made anew keeps its key, by which sidecars know the node; another authority gets a new one', async () => {
  const files = new Map<string, string>();
  const folder = {
    path: '/publisher',
    read: async (name: string) => files.get(name),
    write: async (name: string, text: string) => void files.set(name, text),
    list: async () => [],
  };
  const authority = (org: string): void => {
    const made = maker.makeAuthority({ org, validDays: 3650 });
    files.set('ca.crt', made.certificatePem).set('ca.key', made.keyPem);
  };
  const config = parsePublisherConfig('org: acme\nmanagers: [{id: a, address: 10.0.0.1}]\n', 'x');
  const open = async (...hosts: readonly string[]) =>
    (await openIdentity(folder, config, hosts, silentLog)).now.certificate;
  authority('acme');
  const first = await open('a.example');
  const wider = await open('a.example', 'b.example');
  assert.notEqual(wider.certificatePem, first.certificatePem);
  assert.equal(wider.keyPem, first.keyPem);
  authority('acme');
  assert.notEqual((await open('a.example', 'b.example')).keyPem, first.keyPem);
});

test('hosts of URLs come without ports and brackets', () => {
  assert.deepEqual(
    hostsOf(['https://p1.example:8443', 'https://[::1]:8443', 'https://p1.example']),
    ['p1.example', '::1'],
  );
});
