/**
 * The master is lost: three real nodes of ours, their authd, Debian's etcd. Enrolment goes on, no
 * key that was acknowledged is lost, no id is given twice, the old master comes back as a worker.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../fakes/processes.ts';
import { missingEtcd } from '../leader/etcd-fixture.ts';
import { type Enrolled, Play, type PlayNode } from './play.ts';

const skip = missingEtcd() ?? false;
const ttlMs = 4_000;
let play: Play;
/** Acknowledged to an agent, through a worker. */
const agreed: Enrolled[] = [];

before(async () => {
  if (skip !== false) return;
  play = await Play.open(['m', 'w1', 'w2'], { ttlS: ttlMs / 1_000 });
  await play.start();
});
after(() => play?.stop());

async function enrol(agent: string): Promise<Enrolled> {
  const enrolled = await play.enrol(agent);
  agreed.push(enrolled);
  return enrolled;
}

function masterNow(): Promise<PlayNode> {
  return eventually('there is a master', () => play.master());
}

function lineOf({ id, key }: Enrolled): RegExp {
  return new RegExp(`^${id} \\S+ any ${key}$`, 'm');
}

/** On every node that runs: every acknowledged key, no id twice. */
async function assertNothingLost(): Promise<void> {
  const living = play.nodes.filter(({ process }) => process?.isRunning === true);
  await eventually('the nodes agree', () => new Set(living.map((node) => node.keys())).size === 1);
  const text = living[0]?.keys() ?? '';
  for (const one of agreed) assert.match(text, lineOf(one));
  const ids = text.split('\n').flatMap((line) => /^(\d+) /.exec(line)?.[1] ?? []);
  assert.equal(new Set(ids).size, ids.length, text);
}

test('a killed master: enrolment again within 30 s of the promotion, keys whole, ids new', {
  skip,
}, async (t) => {
  const old = await masterNow();
  for (const name of ['a1', 'a2', 'a3']) await enrol(name);
  await assertNothingLost();
  const workers = play.nodes.filter((node) => node !== old);
  for (const worker of workers) worker.stop(); // what comes now reaches the record alone
  const direct = old.authd.add('direct');
  const isNoted = () => old.status()?.record?.keys.greatestId === Number(direct.id);
  await eventually('it is on record', isNoted);
  agreed.push(direct);
  old.stop();
  const ghost = old.authd.add('ghost'); // authd lives on, its cluster node does not
  await old.kill();
  for (const worker of workers) worker.cont();
  const first = await enrol('b1');
  const master = await masterNow();
  const begin = master.running.events.find(({ event }) => event === 'promotion.seat_taken');
  const startedAtMs = Date.parse(String(begin?.time));
  const tookMs = Date.now() - startedAtMs;
  t.diagnostic(`enrolment ${tookMs} ms after the start of the promotion (pause 1 s)`);
  assert.ok(tookMs < 30_000, `${tookMs}`);
  assert.equal(first.id, ghost.id); // the ghost was never on record: its id was free
  await assertNothingLost();

  old.start();
  const stray = await eventually('the stray key is named', () => old.status()?.strays[0]?.keys[0]);
  assert.deepEqual(stray, { id: ghost.id, name: 'ghost', kind: 'other' });
  assert.equal(old.status()?.role, 'worker');
  await eventually('its daemons are stopped', () => !old.authd.isOn);
  assert.doesNotMatch(old.keys(), /ghost/);
  await eventually('a program of the old master enrols', () => old.enrol('c1'));
});

test('a master that was stopped demotes itself before it serves anything', { skip }, async () => {
  const old = await masterNow();
  const { token } = old.status()?.record ?? {};
  old.stop();
  await enrol('d1');
  const master = await masterNow();
  assert.ok((master.status()?.record?.token ?? 0) > (token ?? 0));
  const { mark } = old.running;
  old.cont();
  await eventually('it knows', () => old.status()?.record?.node === master.name);
  await eventually('its daemons are stopped', () => !old.authd.isOn);
  await eventually('it follows', () =>
    old.running.events.slice(mark).some(({ event }) => event === 'cluster.connected'),
  );
  const later = old.running.events.slice(mark).map(({ event }) => event);
  assert.ok(!later.includes('cluster.worker_joined'), later.join(' '));
  assert.ok(later.indexOf('promotion.seat_left') < later.indexOf('cluster.connected'));
  await enrol('d2');
  await assertNothingLost();
});

test('without etcd there is no master; it comes back with etcd, and nothing is lost', {
  skip,
}, async () => {
  const old = await masterNow();
  const [member] = play.etcd.members;
  member?.process.stop();
  await eventually('it stops by itself', () => old.status()?.role === 'worker');
  await eventually('its daemons are stopped', () => !old.authd.isOn);
  const other = play.nodes.find((node) => node !== old);
  assert.equal(await other?.enrol('nobody', 1_000), undefined);
  member?.process.cont();
  await enrol('e1');
  await assertNothingLost();
});
