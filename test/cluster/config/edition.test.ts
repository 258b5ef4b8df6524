/** What 5.0 has otherwise is data, chosen by the version that a node shows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterConfigOf } from '../../../src/cluster/config.ts';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import { readClusterBlock } from '../../../src/wazuh/manager-cluster-block.ts';
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

/** As a manager of this version has it in its own file. */
function read(version: string, text: string) {
  const { configRoot, cluster } = editionOf(version);
  return clusterConfigOf(readClusterBlock(text, 'manager.conf', configRoot), [], cluster);
}

test('each line reads the file of its own root; 5.0 is on without a block, with the key of its templates', () => {
  const block = '<cluster><node_name>n7</node_name></cluster>';
  const { config, notes } = read('5.0.0', `<wazuh_config>${block}</wazuh_config>`);
  const { key } = editionOf('5.0.0').cluster;
  const { disabled, nodeName, bindAddress, nodes } = config;
  assert.deepEqual(
    { disabled, nodeName, bindAddress, nodes, key: config.key },
    { disabled: false, nodeName: 'n7', bindAddress: '127.0.0.1', nodes: ['127.0.0.1'], key },
  );
  assert.match(notes.map(({ text }) => text).join(), /every manager is shipped with/);
  assert.equal(read('5.0.0', '<wazuh_config></wazuh_config>').config.nodeName, 'node01');
  assert.equal(read('5.0.0', `<ossec_config>${block}</ossec_config>`).config.nodeName, 'node01');
  assert.equal(read('4.14.8', `<wazuh_config>${block}</wazuh_config>`).config.disabled, true);
});

test('5.0 knows no client and no disabled cluster, and takes NODE_IP for a name', () => {
  const inside = (more: string) =>
    `<wazuh_config><cluster><key>${'k'.repeat(32)}</key>${more}</cluster></wazuh_config>`;
  assert.throws(() => read('5.0.0', inside('<node_type>client</node_type>')), /Invalid node type/);
  assert.equal(read('5.0.0', inside('<disabled>yes</disabled>')).config.disabled, false);
  const named = inside('<nodes><node>NODE_IP</node></nodes>');
  assert.deepEqual(read('5.0.0', named).config.nodes, ['NODE_IP']);
});
