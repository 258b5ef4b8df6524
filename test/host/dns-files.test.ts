/** What the system says about names, as systems really keep it. */
import assert from 'node:assert/strict';
import { renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostsFile, resolverConfig } from '../../src/host/dns-files.ts';
import { scratchDirectory } from '../publisher/fixture.ts';

test('resolv.conf and hosts are read through links, and anew when a link leads elsewhere', async (t) => {
  const folder = scratchDirectory(t);
  const at = (name: string): string => join(folder, name);
  const files = { resolvConf: at('resolv.conf'), hosts: at('hosts') };
  writeFileSync(at('stub-resolv.conf'), 'nameserver 127.0.0.53\nsearch corp.test\n');
  writeFileSync(at('vpn-resolv.conf'), 'nameserver 192.0.2.53\n');
  writeFileSync(at('hosts.real'), '192.0.2.1 wm.test\n');
  symlinkSync('stub-resolv.conf', files.resolvConf);
  symlinkSync(at('hosts.real'), files.hosts);
  const config = resolverConfig(files);
  const servers = async () => (await config()).servers.map(({ address }) => address);
  assert.deepEqual([await servers(), (await config()).search], [['127.0.0.53'], ['corp.test']]);
  assert.deepEqual((await hostsFile(files)()).addressesOf('wm.test'), ['192.0.2.1']);
  symlinkSync('vpn-resolv.conf', at('next'));
  renameSync(at('next'), files.resolvConf);
  assert.deepEqual(await servers(), ['192.0.2.53']);
});

test('without the files nobody is named, and the server is the one on this host', async (t) => {
  const folder = scratchDirectory(t);
  const files = { resolvConf: join(folder, 'none'), hosts: join(folder, 'none') };
  const { servers } = await resolverConfig(files)();
  assert.deepEqual(
    servers.map(({ address }) => address),
    ['127.0.0.1'],
  );
  assert.deepEqual((await hostsFile(files)()).addressesOf('wm.test'), []);
});
