/** Peers that are not ours: behaviour of stock nodes, acted over our own link without an offer. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { deflateSync, inflateSync } from 'node:zlib';
import { Link, type LinkHandler } from '../../../src/cluster/link.ts';
import { sendFile } from '../../../src/cluster/upload.ts';
import { faultText } from '../../../src/cluster/wire/fault.ts';
import { encodeMessage } from '../../../src/cluster/wire/message.ts';
import { createSeal, type Seal } from '../../../src/cluster/wire/seal.ts';
import { clock, MemoryStore, random } from '../links.ts';
import { key } from './nodes.ts';

const seal = createSeal(key);

export async function rawDial(t: Pick<TestContext, 'after'>, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => socket.destroy());
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  socket.resume();
  return socket;
}

/** A stock worker that does nothing by itself and answers everything with `ok`. */
export async function dialAs(
  t: Pick<TestContext, 'after'>,
  port: number,
  handler: LinkHandler = politeHandler,
): Promise<Link> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const ports = { clock, random, store: new MemoryStore(), handler };
  const link = new Link(socket, { role: 'worker', seal }, ports);
  t.after(() => link.close());
  return link;
}

const politeHandler: LinkHandler = {
  asked: (asked, link) => link.answer(asked.counter, { kind: 'ok', payload: 'Thanks' }),
};

/** One whole sealed request as any holder of the key could send it. */
export function requestBytes(using: Seal, counter: number, word: string, payload: string): Buffer {
  const plain = Buffer.from(payload);
  const salt = { iv: randomBytes(16), unixSeconds: 1_700_000_000 };
  return Buffer.concat(encodeMessage({ counter, word }, using.seal(plain, salt), plain.length));
}

export interface StockMasterScript {
  /** The metadata to answer a manifest with. */
  onManifest(manifest: Record<string, unknown>): unknown;
  onReport(text: string): void;
}

/** A stock master: admits everybody, grants every check, answers each with one bundle. */
export async function admitAll(
  t: Pick<TestContext, 'after'>,
  script: StockMasterScript,
): Promise<number> {
  const links: Link[] = [];
  const server = createServer((socket) => {
    const store = new MemoryStore();
    const handler: LinkHandler = {
      asked(asked, link) {
        const ok = (payload: string): void => link.answer(asked.counter, { kind: 'ok', payload });
        if (asked.command === 'hello') link.admit(asked.counter, { mustBeOurs: false });
        else if (asked.command === 'mayCheckIntegrity') ok('True');
        else if (asked.command === 'integrityStart') ok('11111111-2222-4333-8444-555555555555');
        else if (asked.command === 'integritySent') {
          ok('File correctly received');
          const file = link.takeFile(asked.value.path);
          const bytes = store.content(file?.transfer ?? -1);
          void order(link, script.onManifest(manifestOf(bytes))).catch(() => undefined);
        } else if (asked.command === 'integrityFailed') {
          ok('Error received');
          script.onReport(faultText(asked.value.fault));
        } else ok('False');
      },
    };
    links.push(new Link(socket, { role: 'master', seal }, { clock, random, store, handler }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.close();
    await Promise.all(links.map((link) => link.close()));
  });
  return (server.address() as AddressInfo).port;
}

const metadata = Buffer.from('files_metadata.json|//@@//|');

/** A worker without files. */
export const emptyManifest = Buffer.concat([metadata, deflateSync('{}')]);

/** A whole check as a stock worker makes it, with any bytes for a manifest. */
export async function sendManifest(link: Link, name: string, bundle: Buffer): Promise<void> {
  const started = await link.request('integrityStart', undefined);
  if (started.kind !== 'ok') throw new Error(faultText(started.fault));
  const path = `/queue/cluster/w/${name}.zip`;
  await sendFile(link, path, one(bundle));
  const taskId = started.payload.toString();
  await link.request('integritySent', { taskId, path: path.slice(1) });
}

function manifestOf(bundle: Buffer): Record<string, unknown> {
  return JSON.parse(inflateSync(bundle.subarray(metadata.length)).toString('utf8'));
}

async function order(link: Link, changes: unknown): Promise<void> {
  const started = await link.request('updateStart', undefined);
  const taskId = started.kind === 'ok' ? started.payload.toString() : '';
  const path = `/queue/cluster/w/w-${randomBytes(8).toString('hex')}.zip`;
  await sendFile(link, path, one(Buffer.concat([metadata, deflateSync(JSON.stringify(changes))])));
  await link.request('updateSent', { taskId, path: path.slice(1) });
}

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
