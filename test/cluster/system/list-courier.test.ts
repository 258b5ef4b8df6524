/** The list between our own nodes, either way; a stock node never hears of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ListDesk } from '../../../src/cluster/tasks/list-courier.ts';
import { BundleBoard, BundleInbox } from '../../../src/publisher/follow/bundle-board.ts';
import { Home, startMaster, startWorker, until } from './nodes.ts';
import { dialAs } from './peers.ts';

const files = { 'etc/client.keys': '001 a any 0123\n' };
const hello = { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' };
const bundle = (text: string) => ({ roots: [Buffer.from('root')], list: Buffer.from(text) });

/** What arrives, as a follower would look at it. */
function collect(inbox: BundleInbox): { readonly lists: string[]; stop(): void } {
  const stop = new AbortController();
  const lists: string[] = [];
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const look = await inbox.look(undefined, stop.signal);
      if (look.kind === 'offer') lists.push(Buffer.from(look.offer.list).toString());
    }
  };
  loop().catch(() => undefined);
  return { lists, stop: () => stop.abort() };
}

test('what the master holds reaches every worker that follows, at once and at every change', async (t) => {
  const board = new BundleBoard();
  board.hang(bundle('one'));
  const master = await startMaster(t, new Home(t, files), { more: { lists: board.desk() } });
  const inboxes = [new BundleInbox(), new BundleInbox()];
  const seen = inboxes.map(collect);
  t.after(() => {
    for (const { stop } of seen) stop();
  });
  inboxes.forEach((inbox, index) => {
    const lists: ListDesk = new BundleBoard().desk(inbox);
    startWorker(t, new Home(t), { name: `w${index}`, port: master.port, more: { lists } });
  });
  startWorker(t, new Home(t), { name: 'plain', port: master.port });
  await until('the first came', () => seen.every(({ lists }) => lists.at(-1) === 'one'));
  board.hang(bundle('two'));
  await until('the second came', () => seen.every(({ lists }) => lists.at(-1) === 'two'));
  assert.equal(inboxes[0]?.from, '127.0.0.1');
});

test('a worker that signs reaches the master, which hands it to the other workers', async (t) => {
  const writer = new BundleBoard();
  writer.hang(bundle('signed'));
  const inMaster = new BundleInbox();
  const ofMaster = new BundleBoard();
  const master = await startMaster(t, new Home(t, files), {
    more: { lists: ofMaster.desk(inMaster) },
  });
  const atMaster = collect(inMaster);
  const inbox = new BundleInbox();
  const atOther = collect(inbox);
  t.after(() => {
    for (const { stop } of [atMaster, atOther]) stop();
  });
  const { port } = master;
  startWorker(t, new Home(t), { name: 'w1', port, more: { lists: writer.desk() } });
  startWorker(t, new Home(t), { name: 'w2', port, more: { lists: new BundleBoard().desk(inbox) } });
  await until('it came to the master', () => atMaster.lists.at(-1) === 'signed');
  assert.equal(inMaster.from, 'w1');
  ofMaster.hang(bundle('signed'));
  await until('it came to the other', () => atOther.lists.at(-1) === 'signed');
});

test('a stock worker never sees the command, and may not send it', async (t) => {
  const board = new BundleBoard();
  board.hang(bundle('one'));
  const inbox = new BundleInbox();
  const master = await startMaster(t, new Home(t, files), { more: { lists: board.desk(inbox) } });
  const asked: string[] = [];
  const link = await dialAs(t, master.port, {
    asked: ({ command, counter }, at) => {
      asked.push(command);
      at.answer(counter, { kind: 'ok', payload: 'Thanks' });
    },
  });
  await link.request('hello', hello);
  const answer = await link.request('listReady', 'nothing');
  assert.equal(answer.kind, 'fault');
  const ours = new BundleInbox();
  const atOurs = collect(ours);
  t.after(() => atOurs.stop());
  const lists = new BundleBoard().desk(ours);
  startWorker(t, new Home(t), { name: 'ours', port: master.port, more: { lists } });
  await until('one of ours got it', () => atOurs.lists.length > 0);
  assert.ok(!asked.includes('listReady'));
});
