/**
 * Three publishers and four managers on hosts of their own. The one that leads is blind to a manager
 * that the others see: it stays. Another one is, too: it leaves. A blind one that takes over drains nobody.
 */
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runPublisher, TestPublisher } from '../cli/publisher-fixture.ts';
import { type Host, Hosts, missingHosts } from '../fakes/hosts.ts';
import { eventually, type StandInProcess } from '../fakes/processes.ts';
import { missingEtcd } from '../leader/etcd-fixture.ts';
import { scratchDirectory } from '../publisher/fixture.ts';

const skip = missingHosts() ?? missingEtcd() ?? false;
const publisherMain = fileURLToPath(new URL('../../src/publisher-main.ts', import.meta.url));
const managerMain = fileURLToPath(new URL('../fakes/manager.ts', import.meta.url));
const waitMs = 90_000;
const managers = [21, 22, 23, 24].map((octet) => `10.233.79.${octet}`);
const [first = '', second = ''] = managers;

interface Seat {
  readonly host: Host;
  readonly publisher: TestPublisher;
  process?: StandInProcess;
}

async function startManagers(hosts: Hosts): Promise<void> {
  const host = await hosts.add(20);
  for (const address of managers) {
    host.run('ip', 'address', 'add', `${address}/24`, 'dev', 'eth0');
  }
  const all = host.start(process.execPath, managerMain, '--listen', '0.0.0.0:1514');
  await all.waitFor({ event: 'mode' });
}

async function startEtcd(hosts: Hosts, folder: string): Promise<string> {
  const host = await hosts.add(30);
  const [url, peer] = [`http://${host.address}:2379`, `http://${host.address}:2380`];
  host.start(
    ...['etcd', '--data-dir', join(folder, 'etcd'), '--listen-client-urls', url],
    ...['--advertise-client-urls', url, '--listen-peer-urls', peer, '--name', 'e0'],
    ...['--initial-advertise-peer-urls', peer, '--initial-cluster', `e0=${peer}`],
    ...['--logger', 'zap', '--log-outputs', 'stderr'],
  );
  return url;
}

async function initSeats(hosts: Hosts, folder: string, etcd: string): Promise<readonly Seat[]> {
  const added = [await hosts.add(11), await hosts.add(12), await hosts.add(13)];
  const urlOf = ({ address }: Host): string => `https://${address}:8443`;
  const directory = join(folder, 'p1');
  const made = await runPublisher([
    ...['init', '--dir', directory, '--org', 'acme', '--listen', '0.0.0.0:8443'],
    ...added.flatMap((host) => ['--url', urlOf(host)]),
    ...managers.flatMap((address, at) => ['--manager', `m${at + 1}=${address}`]),
  ]);
  assert.equal(made.exit, 0, made.err);
  for (const name of ['p2', 'p3']) cpSync(directory, join(folder, name), { recursive: true });
  return added.map((host, at): Seat => {
    const publisher = new TestPublisher(join(folder, `p${at + 1}`), 8443, []);
    const leader = ['leader:', '  engine: etcd', `  name: p${at + 1}`, `  url: ${urlOf(host)}`];
    const etcdText = ['  ttl: 3s', '  etcd:', `    endpoints: [${etcd}]`];
    const roster = ['roster:', '  enabled: true', '  interval: 200ms'];
    const probe = ['probe:', '  interval: 300ms', '  deadline: 600ms', 'list:'];
    publisher.edit(/^list:/m, [...leader, ...etcdText, ...roster, ...probe].join('\n'));
    return { host, publisher };
  });
}

function start({ host, publisher }: Seat): StandInProcess {
  return host.start(process.execPath, publisherMain, 'run', '--dir', publisher.directory);
}

/** What status tells, by the id of a manager. */
async function look({ publisher }: Seat) {
  await new Promise((resolve) => setTimeout(resolve, 150)); // whoever asks in a loop keeps others waiting
  const { list, running } = await publisher.json('status');
  const listed: readonly { id: string; state: string }[] = list?.managers ?? [];
  const seen: readonly { id: string; why: string; probe: string; publishers?: string[] }[] =
    running?.roster?.managers ?? [];
  return {
    leads: running?.leader?.leads === true,
    state: (id: string) => listed.find((one) => one.id === id)?.state,
    seen: (id: string) => seen.find((one) => one.id === id),
    publishers: running?.roster?.publishers ?? [],
    complaints: running?.complaints ?? [],
  };
}

async function play(t: TestContext) {
  const hosts = new Hosts(t);
  const folder = scratchDirectory(t);
  await startManagers(hosts);
  const seats = await initSeats(hosts, folder, await startEtcd(hosts, folder));
  const [p1, p2, p3] = seats;
  assert.ok(p1 !== undefined && p2 !== undefined && p3 !== undefined);
  p1.process = start(p1);
  await eventually('p1 leads', async () => (await look(p1)).leads, waitMs);
  for (const seat of [p2, p3]) seat.process = start(seat);
  return { p1, p2, p3 };
}

test('a quorum of publishers: one that is blind, a loss that two see, a takeover by a blind one', {
  skip,
}, async (t) => {
  const { p1, p2, p3 } = await play(t);
  const heard = async (id: string, what: string) =>
    (await look(p1)).seen(id)?.publishers?.join() === what;
  await eventually('both are heard', () => heard('m1', 'p2 up,p3 up'), waitMs);

  p1.host.isBlindTo(first, true);
  await eventually(
    'p1 is blind',
    async () => (await look(p1)).seen('m1')?.probe === 'down',
    waitMs,
  );
  const blind = await eventually('a round of it', async () => {
    const now = await look(p1);
    return /2 of 3 places see it up/.test(now.seen('m1')?.why ?? '') && now;
  });
  assert.equal(blind.state('m1'), 'up');
  await new Promise((resolve) => setTimeout(resolve, 1_200)); // six more rounds
  assert.equal((await look(p1)).state('m1'), 'up');

  p2.host.isBlindTo(first, true);
  await eventually('two see it', async () => (await look(p1)).state('m1') === 'down', waitMs);
  assert.match((await look(p1)).seen('m1')?.why ?? '', /2 of 3 places see it down/);
  for (const { host } of [p1, p2]) host.isBlindTo(first, false);
  await eventually('it is back', async () => (await look(p1)).state('m1') === 'up', waitMs);

  // Whoever takes over: one that is blind to it has no word alone, however long it was so.
  p2.host.isBlindTo(second, true);
  await eventually('p2 is blind', () => heard('m2', 'p2 down,p3 up'), waitMs);
  await p1.process?.kill();
  const leader = await eventually(
    'another one leads, and hears the third',
    async () => {
      for (const seat of [p2, p3]) {
        const now = await look(seat);
        if (now.leads && now.publishers.length === 1) return seat;
      }
      return undefined;
    },
    waitMs,
  );
  await new Promise((resolve) => setTimeout(resolve, 4_000)); // past the time in which it only listens
  const now = await look(leader);
  assert.equal(now.state('m2'), 'up', JSON.stringify(now.seen('m2')));
  assert.equal(now.publishers[0].ignored, undefined);
  const status = (await leader.publisher.run('status')).out;
  assert.match(status, /^publisher p[23], heard .* ago: its views count$/m);
});
