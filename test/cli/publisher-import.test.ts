import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratchDirectory } from '../publisher/fixture.ts';
import { initPublisherDirectory, runPublisher } from './publisher-fixture.ts';

function configOf(inner: string): string {
  const needed =
    '<haproxy_disabled>no</haproxy_disabled><haproxy_address>10.0.0.9</haproxy_address>' +
    '<haproxy_user>admin</haproxy_user><haproxy_password>secret-word</haproxy_password>';
  const helper = inner === '-' ? '' : `<haproxy_helper>${needed}${inner}</haproxy_helper>`;
  return `<ossec_config><cluster><name>w</name>${helper}</cluster></ossec_config>`;
}

test('settings of a helper are explained, and what is printed is a valid configuration', async (t) => {
  const path = join(scratchDirectory(t), 'ossec.conf');
  const options =
    '<imbalance_tolerance>0.25</imbalance_tolerance><agent_chunk_size>200</agent_chunk_size>' +
    '<agent_reconnection_time>4</agent_reconnection_time><excluded_nodes>w7</excluded_nodes>';
  writeFileSync(path, configOf(options));
  const { exit, out } = await runPublisher(['import', '--haproxy-helper', path]);
  assert.equal(exit, 0);
  assert.match(out, /imbalance_tolerance +0\.25 +balance\.skewPct: 25 /);
  assert.match(out, /200 every 4 s +list\.acceptRate: 50 /);
  assert.match(out, /excluded_nodes +w7 +managers /);
  assert.ok(!out.includes('secret-word'), 'no password is printed');
  const { yaml } = JSON.parse(
    (await runPublisher(['import', '--haproxy-helper', path, '--json'])).out,
  );
  const publisher = await initPublisherDirectory(t);
  const [balance = '', list = ''] = yaml.split('list:\n');
  publisher.edit(/^list:\n/m, `${balance}list:\n${list}`);
  const dry = await publisher.run('publish', '--dry-run');
  assert.equal(dry.exit, 3, dry.err);
});

test('a file without a helper, one that is none and one that is not there are refused', async (t) => {
  const directory = scratchDirectory(t);
  const none = join(directory, 'none.conf');
  writeFileSync(none, configOf('-'));
  const bad = join(directory, 'bad.conf');
  writeFileSync(bad, configOf('<imbalance_tolerance>7</imbalance_tolerance>'));
  for (const path of [none, bad, join(directory, 'absent')]) {
    const { exit, err } = await runPublisher(['import', '--haproxy-helper', path]);
    assert.equal(exit, 2, path);
    assert.match(err, /E00[12]/);
  }
});
