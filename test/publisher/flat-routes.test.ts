import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { verifyReceipt } from '../../src/list/receipt.ts';
import { publishConfigured } from '../../src/publisher/orders.ts';
import { publish } from '../../src/publisher/publish.ts';
import { configuredOf, listKey, openDesk } from './fixture.ts';
import { startServer } from './server-fixture.ts';

test('the flat form and its signature are served, and openssl agrees that they fit', async (t) => {
  const desk = await openDesk(t);
  desk.clock.atMs = Date.now();
  const { entry } = await publish(desk, publishConfigured(configuredOf('a', 'b')));
  const { server } = await startServer(t);
  assert.equal((await server.get('/v1/list.txt')).status, 503);
  server.service.serve(entry);
  const nonce = Buffer.alloc(16, 7).toString('base64url');
  const text = await server.get('/v1/list.txt?g=default&s=eu-1', { 'pf-nonce': nonce });
  const signed = await server.get('/v1/list.txt.sig');
  assert.deepEqual([text.status, signed.status], [200, 200]);
  assert.equal(text.headers['content-type'], 'text/plain; charset=utf-8');
  assert.match(
    text.body.toString(),
    new RegExp(`^pilotfish-list 1\n(?:.+\n)+hash ${entry.hash}\n`),
  );
  const [, kid, signature = ''] = /^pilotfish-signature 1\n(\S+) (\S+)\n$/.exec(
    signed.body.toString(),
  ) ?? [''];
  assert.equal(kid, listKey.kid);
  const folder = mkdtempSync(join(tmpdir(), 'pilotfish-flat-'));
  t.after(() => rmSync(folder, { recursive: true, maxRetries: 9 }));
  const file = (name: string, bytes: string | Uint8Array) => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };
  const spki = `MCowBQYDK2VwAyEA${listKey.publicKey.x.replaceAll('-', '+').replaceAll('_', '/')}=`;
  const key = file('key', `-----BEGIN PUBLIC KEY-----\n${spki}\n-----END PUBLIC KEY-----\n`);
  const sig = file('sig', Buffer.from(signature, 'base64url'));
  const verifies = (message: Uint8Array) => {
    const flags = ['pkeyutl', '-verify', '-rawin', '-pubin', '-inkey', key, '-sigfile', sig];
    return execFileSync('openssl', [...flags, '-in', file('text', message)]).toString();
  };
  assert.match(verifies(text.body), /Signature Verified Successfully/);
  text.body[20] = (text.body[20] ?? 0) ^ 1;
  assert.throws(() => verifies(text.body));
  const position = { position: entry, hash: entry.hash };
  const compact = String(text.headers['pf-receipt']);
  assert.equal((await verifyReceipt({ compact, nonce }, position, desk.root)).version, 1);
});
