/**
 * Addresses per zone, with real programs: an address that nothing answers at is never published, and
 * an agent of the zone is led to its own address by sidecar and applier, which look for themselves.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { serverAddresses } from '../../scripts/demonstration/outside.ts';
import { Stage } from '../../scripts/demonstration/stage.ts';
import { control } from '../fakes/agent-home.ts';
import { eventually, ownAddress } from '../fakes/processes.ts';

const publisherMain = fileURLToPath(new URL('../../src/publisher-main.ts', import.meta.url));

describe('a manager with another address for one zone', { concurrency: 1 }, () => {
  const [general = '', other = '', natted = ''] = [141, 142, 143].map(ownAddress);
  const stage = Stage.make({
    addresses: [general, other, natted],
    servers: [{ address: general }, { address: other }],
    enrollment: 'no',
  });
  const lively = 'probe:\n  interval: 1s\n';
  const config = join(stage.publisherDirectory, 'publisher.yml');
  const servers = (): readonly string[] => [...serverAddresses(stage.home.readConfig())].sort();
  const are = (...wanted: readonly string[]): boolean =>
    servers().join() === wanted.toSorted().join();
  const faces = () => stage.publisherRun('nodes', '--json');
  /** It ends with 3 while something is wrong. */
  const status = (): string => {
    const argv = [publisherMain, 'status', '--dir', stage.publisherDirectory, '--json'];
    return spawnSync(process.execPath, argv, { encoding: 'utf8', timeout: 60_000 }).stdout;
  };

  before(async () => {
    await stage.startManagers();
    await stage.managers[2]?.process.kill(); // the other face of the first one
    await stage.startPublisher(lively);
    control(stage.home, 'start');
    stage.writeSidecarConfig({ ...stage.livelyConfig(), zone: 'dmz' });
    stage.join(); // it serves
    const third = / {2}- id: wm-3\n(?: {4}.*\n)+/;
    const addresses = `    addresses: [{ zone: dmz, address: ${natted} }]\n`;
    const text = readFileSync(config, 'utf8').replace(third, '');
    writeFileSync(config, text.replace(/( {2}- id: wm-1\n(?: {4}.*\n)+)/, `$1${addresses}`));
    stage.publisher?.signal('SIGHUP');
  });
  after(() => stage.stop());

  test('an address that nothing answers at stays out of the list, and status says so', async () => {
    await eventually(
      'the complaint',
      () => /wm-1 in zone dmz at \S+ does not answer as a manager from here/.test(status()),
      30_000,
    );
    assert.doesNotMatch(faces(), new RegExp(natted));
    stage.startSidecar();
    await eventually('the general addresses', () => are(general, other), 60_000);
  });

  test('once it answers, agents of the zone dial it, and no longer the general one', async () => {
    const [, , third] = stage.managers;
    assert.ok(third !== undefined);
    await stage.revive(third);
    await eventually('the address of the zone', () => are(natted, other), 60_000);
    assert.match(faces(), new RegExp(natted));
    const list = JSON.stringify(await stage.sidecarJson('list'));
    assert.match(list, new RegExp(natted));
    assert.doesNotMatch(list, new RegExp(`"${general}"`));
  });

  test('it stays published when its manager dies: that changes a state, never an address', async () => {
    const [, , third] = stage.managers;
    await third?.process.kill();
    stage.publisher?.signal('SIGHUP');
    await eventually('another look', () => stage.publisherRun('nodes') !== '', 30_000);
    assert.match(faces(), new RegExp(natted));
    assert.deepEqual(servers(), [natted, other].sort());
  });
});
