/** Who stands behind an address, by keys that real TLS servers show: a node's own is its publisher's. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { createServer, type Server } from 'node:tls';
import { openHolderWatch } from '../../src/cli/build-sidecar-holders.ts';
import { buildCertificateMaker } from '../../src/host/certificate-maker.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { silentLog } from '../../src/log.ts';
import type { KeyedCertificate } from '../../src/publisher/server-identity.ts';
import { Bell } from '../../src/sidecar/bell.ts';
import { eventually, ownAddress } from '../fakes/processes.ts';

const maker = buildCertificateMaker(systemClock, systemRandom);
const authority = maker.makeAuthority({ org: 'acme', validDays: 9 });
const stranger = maker.makeAuthority({ org: 'other', validDays: 9 });
/** For a name of the node's own: the address in front of it is in nobody's certificate. */
const node = (name: string, more: { readonly keyPem?: string } = {}, under = authority) =>
  maker.makeServer({ authority: under, hosts: [`${name}.example`], validDays: 9, ...more });
/** Nodes of one cluster often share the certificate of the enrollment port. */
const shared = node('authd', {}, stranger);
const ports = { publisher: 8_443, enrollment: 1_515 } as const;

const context = ({ certificatePem, keyPem }: KeyedCertificate, under = authority) => ({
  cert: `${certificatePem}${under.certificatePem}`,
  key: keyPem,
});

async function serve(t: TestContext, host: string, port: number, shown: KeyedCertificate) {
  const server: Server = createServer(context(shown));
  server.on('tlsClientError', () => undefined);
  server.on('secureConnection', (socket) => socket.on('error', () => undefined));
  server.listen(port, host);
  await once(server, 'listening');
  t.after(() => server.close());
  return server;
}

/** A virtual IP with a publisher and an enrollment port behind it, watched by the sidecar's own parts. */
async function watchVip(t: TestContext, address: string, first: KeyedCertificate) {
  const publisher = await serve(t, address, ports.publisher, first);
  await serve(t, address, ports.enrollment, shared);
  const config = { probe: { deadline: 30_000 } };
  const holders = openHolderWatch({ config, log: silentLog }, new Bell());
  const stop = new AbortController();
  const running = holders.run(stop.signal).catch(() => undefined);
  t.after(async () => {
    stop.abort();
    await running;
  });
  const url = `https://wm.example:${ports.publisher}`;
  const publishers = [{ id: 'p', url, spki: [authority.pin] }];
  holders.look({ id: 'wm', address, port: 1_514, publishers }, new Set(['wm']), 0);
  const seen = () => holders.seen().get('wm');
  await eventually('the node is known', () => seen()?.marks.server !== undefined);
  return { holders, seen, publisher };
}

test('another node is known by its publisher’s key, although both show one enrollment certificate', async (t) => {
  const [a, b] = [node('a'), node('b')];
  const { holders, seen, publisher } = await watchVip(t, ownAddress(97), a);
  const before = seen()?.marks;
  assert.match(before?.publisher ?? '', /^sha256\//);
  publisher.setSecureContext(context(b));
  holders.trouble('wm');
  await eventually('the move is told', () => seen()?.movedAtMs !== undefined);
  assert.equal(seen()?.marks.server, before?.server);
  assert.notEqual(seen()?.marks.publisher, before?.publisher);
});

test('a renewed certificate of the same key is the same node', async (t) => {
  const a = node('a');
  const { holders, seen, publisher } = await watchVip(t, ownAddress(98), a);
  publisher.setSecureContext(context(node('a', { keyPem: a.keyPem })));
  const before = seen()?.marks;
  holders.trouble('wm');
  await eventually('it was judged again', () => seen()?.marks !== before);
  assert.equal(seen()?.movedAtMs, undefined);
});

test('a key that nobody vouches for is no publisher: whoever holds the port moves nobody', async (t) => {
  const { holders, seen, publisher } = await watchVip(t, ownAddress(99), node('a'));
  publisher.setSecureContext(context(node('a', {}, stranger), stranger));
  const before = seen()?.marks;
  holders.trouble('wm');
  await eventually('it was judged again', () => seen()?.marks !== before);
  assert.equal(seen()?.movedAtMs, undefined);
});
