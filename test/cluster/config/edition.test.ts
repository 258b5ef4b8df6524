/** What 5.0 has otherwise is data, chosen by the version that a node shows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import { editionOf } from '../../../src/wazuh/manager-edition.ts';

const keysOf = (version: string): readonly string[] =>
  parseClusterJson({}, editionOf(version).clusterJson).catalogue.items.map(({ key }) => key);

test('the files of 4.14 and of 5.0 are those of their own cluster.json', () => {
  const rules = ['etc/rules/', 'etc/decoders/', 'etc/lists/'];

  assert.deepEqual(keysOf('4.14.8'), ['etc/', 'etc/shared/', 'var/multigroups/', ...rules]);
  assert.deepEqual(keysOf('5.0.0'), ['etc/', 'etc/shared/', 'var/multigroups/']);
  const { items, excludedNames } = parseClusterJson({}, editionOf('5.0.0').clusterJson).catalogue;
  assert.deepEqual(items[0]?.files, ['client.keys', 'authd.pass']);
  assert.deepEqual(excludedNames, ['wazuh-manager.conf']);
});

test('an operator’s own file is laid over either', () => {
  const own = { intervals: { worker: { keep_alive: 5 } }, files: { 'etc/rules/': null } };

  const { intervals, catalogue } = parseClusterJson(own, editionOf('4.14.8').clusterJson);

  assert.equal(intervals.worker.keep_alive, 5);
  assert.ok(!catalogue.items.some(({ key }) => key === 'etc/rules/'));
});

test('daemons, home, user and the agents’ nodes follow the version', () => {
  const seen = ['4.14.8', '5.0.0', '5.2.1', ''].map((version) => {
    const { home, user, config, clusterDaemon, hasAgentNodes } = editionOf(version);
    return [home, user, config, clusterDaemon, hasAgentNodes].join(' ');
  });

  const four = '/var/ossec wazuh etc/ossec.conf wazuh-clusterd true';
  const five =
    '/var/wazuh-manager wazuh-manager etc/wazuh-manager.conf wazuh-manager-clusterd false';
  assert.deepEqual(seen, [four, five, five, four]);
});
