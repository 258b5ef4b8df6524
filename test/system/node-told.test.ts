/**
 * A worker with real interfaces tells its master where agents of a zone reach it: the publisher asks
 * that address as a manager, publishes it, and a sidecar on another host dials it. An address that
 * the root does not allow stays out, although a manager answers there.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { serverAddresses } from '../../scripts/demonstration/outside.ts';
import { Stage } from '../../scripts/demonstration/stage.ts';
import { runPublisher, TestPublisher } from '../cli/publisher-fixture.ts';
import { Home, key } from '../cluster/system/nodes.ts';
import { type Host, Hosts, missingHosts } from '../fakes/hosts.ts';
import { eventually } from '../fakes/processes.ts';
import { scratchDirectory } from '../publisher/fixture.ts';

const main = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const publisherMain = main('src/publisher-main.ts');
const sidecarMain = main('src/sidecar-main.ts');
const waitMs = 90_000;

const [lan, dmz, branch] = ['10.233.79', '10.233.90', '10.233.91'] as const;

async function startManager(host: Host): Promise<void> {
  const listen = ['--listen', '0.0.0.0:1514'];
  await host
    .start(process.execPath, main('test/fakes/manager.ts'), ...listen)
    .waitFor({ event: 'mode' });
}

/** By the sidecar's own probes, at the address that it dials. */
function isSeenUp({ directory }: Stage, id: string): boolean {
  const path = join(directory, 'state/status.json');
  if (!existsSync(path)) return false;
  const { managers } = JSON.parse(readFileSync(path, 'utf8'));
  return managers.some(
    (one: { id: string; verdict: string }) => one.id === id && one.verdict === 'up',
  );
}

test('an address that a node tells is proven, published and dialled; one outside the root is not', {
  skip: missingHosts() ?? false,
}, async (t) => {
  const hosts = new Hosts(t, lan);
  const [first, second, agent] = [await hosts.add(11), await hosts.add(12), await hosts.add(13)];
  for (const [host, octet] of [
    [first, 11],
    [second, 12],
    [agent, 13],
  ] as const) {
    host.run('ip', 'address', 'add', `${dmz}.${octet}/24`, 'dev', 'eth0');
    host.run('ip', 'address', 'add', `${branch}.${octet}/24`, 'dev', 'eth0');
  }
  await Promise.all([startManager(first), startManager(second)]);
  const folder = scratchDirectory(t);
  const publisher = new TestPublisher(join(folder, 'p'), 8443, []);
  const url = `https://${first.address}:8443`;
  const made = await runPublisher([
    ...['init', '--dir', publisher.directory, '--org', 'acme', '--url', url],
    ...['--listen', '0.0.0.0:8443', '--manager', `wm1=${first.address}`],
    ...['--manager', `wm2=${second.address}`, '--manager', `face=${dmz}.12`],
  ]);
  assert.equal(made.exit, 0, made.err);
  publisher.edit(/ {2}- id: face\n(?: {4}.*\n)+/, ''); // the root allows it; nobody names it
  const nodeText = (type: string, name: string): string =>
    `{ type: ${type}, name: ${name}, key: ${key}, master: ${first.address} }`;
  const clusterText = (home: Home, type: string, name: string): readonly string[] => [
    ...['cluster:', `  home: ${home.path}`, `  node: ${nodeText(type, name)}`],
    ...['  version: 4.14.8', '  user: root'],
  ];
  const masterHome = new Home(t, { 'etc/client.keys': '001 a any k\n' });
  publisher.edit(
    /^list:/m,
    [
      ...clusterText(masterHome, 'master', 'wm1'),
      ...['roster:', '  enabled: true', '  hearNodes: true', '  interval: 200ms'],
      ...['probe:', '  interval: 500ms', 'list:'],
    ].join('\n'),
  );
  first.start(process.execPath, publisherMain, 'run', '--dir', publisher.directory);

  const nodeFolder = join(folder, 'n');
  mkdirSync(nodeFolder);
  const advertise = [
    '  advertise:',
    '    networks:',
    `      - { zone: dmz, network: ${dmz}.0/24 }`,
    `      - { zone: branch, network: ${branch}.0/24 }`,
  ];
  const nodeYml = [
    ...['org: acme', 'managers:', `  - { id: wm2, address: ${second.address} }`],
    ...[...clusterText(new Home(t), 'worker', 'wm2'), ...advertise, ''],
  ];
  writeFileSync(join(nodeFolder, 'publisher.yml'), nodeYml.join('\n'));
  const node = second.start(
    ...[process.execPath, publisherMain, 'cluster', '-f', '-r', '--dir', nodeFolder],
  );

  const look = async () => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    const { list, running } = await publisher.json('status');
    const listed: readonly { id: string; state: string; addresses?: unknown }[] =
      list?.managers ?? [];
    const complaints: readonly { topic: string; message: string }[] = running?.complaints ?? [];
    return { wm2: listed.find(({ id }) => id === 'wm2'), complaints };
  };
  const proven = await eventually(
    `the address of the zone: ${node.errors}`,
    async () => {
      const now = await look();
      return now.wm2?.addresses !== undefined && now.wm2.state === 'up' && now;
    },
    waitMs,
  );
  assert.deepEqual(proven.wm2?.addresses, [{ zone: 'dmz', address: `${dmz}.12` }]);
  const told = await eventually('the other one is told of', async () =>
    (await look()).complaints.find(({ topic }) => topic === 'addresses'),
  );
  assert.match(told.message, /wm2 in zone branch at 10\.233\.91\.12 is not allowed by the root/);

  const stage = Stage.make({
    addresses: [first.address],
    servers: [{ address: first.address }, { address: second.address }],
    enrollment: 'no',
  });
  t.after(() => stage.stop());
  agent.run(stage.home.controlPath, 'start');
  stage.writeSidecarConfig({ ...stage.livelyConfig(), zone: 'dmz' });
  const token = (await publisher.run('token')).out.trim().split('\n').at(-1) ?? '';
  const sidecar = (...argv: readonly string[]): readonly string[] => [
    ...[process.execPath, sidecarMain, ...argv, '--config', stage.configPath],
  ];
  agent.run(...sidecar('join', token));
  agent.start(...sidecar('run'));
  const servers = (): readonly string[] => [...serverAddresses(stage.home.readConfig())].sort();
  const wanted = [first.address, `${dmz}.12`].sort().join();
  await eventually(
    'the agent has the address of its zone',
    () => servers().join() === wanted,
    waitMs,
  );
  await eventually('it is seen up there', () => isSeenUp(stage, 'wm2'), waitMs);
  assert.doesNotMatch(JSON.stringify(await look()), new RegExp(`"address":"${branch}`));
});
