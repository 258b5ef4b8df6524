/** `<haproxy_helper>`: every option, default, check and error of the stock section. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterConfigOf } from '../../../src/cluster/config.ts';
import { type HaproxyHelper, haproxyHelperJson } from '../../../src/cluster/haproxy-helper.ts';
import { ConfigError } from '../../../src/errors.ts';
import { readClusterBlock } from '../../../src/wazuh/manager-cluster-block.ts';

const usable = `<key>c98b62a9b6169ac5f67dae55ae4a9088</key><nodes><node>10.0.0.1</node></nodes>`;
const needed =
  '<haproxy_disabled>no</haproxy_disabled><haproxy_address>10.0.0.9</haproxy_address>' +
  '<haproxy_user>admin</haproxy_user><haproxy_password>a,b</haproxy_password>';

function read(inner: string): { helper: HaproxyHelper | undefined; notes: string } {
  const section = `<haproxy_helper>${inner}</haproxy_helper>`;
  const text = `<ossec_config><cluster>${usable}${section}</cluster></ossec_config>`;
  const { config, notes } = clusterConfigOf(readClusterBlock(text, 'ossec.conf'));
  return { helper: config.haproxyHelper, notes: notes.map(({ text: one }) => one).join('\n') };
}

test('options that are not written have the stock defaults', () => {
  const { helper } = read(needed);
  assert.ok(helper);
  assert.deepEqual(haproxyHelperJson(helper), {
    haproxy_disabled: false,
    haproxy_address: '10.0.0.9',
    haproxy_port: 5555,
    haproxy_protocol: 'http',
    haproxy_user: 'admin',
    haproxy_password: 'a,b',
    haproxy_backend: 'wazuh_reporting',
    haproxy_resolver: null,
    haproxy_cert: true,
    client_cert: null,
    client_cert_key: null,
    client_cert_password: null,
    excluded_nodes: [],
    frequency: 60,
    agent_chunk_size: 300,
    agent_reconnection_time: 5,
    agent_reconnection_stability_time: 60,
    imbalance_tolerance: 0.1,
    remove_disconnected_node_after: 240,
  });
});

test('every option is read', () => {
  const { helper } = read(
    `${needed}<haproxy_port>1024</haproxy_port><haproxy_protocol>https</haproxy_protocol>
    <haproxy_backend>b</haproxy_backend><haproxy_resolver>r</haproxy_resolver>
    <haproxy_cert>/c.pem</haproxy_cert><client_cert>/k.pem</client_cert>
    <client_cert_key>/k.key</client_cert_key><client_cert_password>p</client_cert_password>
    <excluded_nodes>w1, w2</excluded_nodes><frequency>10</frequency>
    <agent_chunk_size>100</agent_chunk_size><agent_reconnection_time>0</agent_reconnection_time>
    <agent_reconnection_stability_time>10</agent_reconnection_stability_time>
    <imbalance_tolerance>1</imbalance_tolerance>
    <remove_disconnected_node_after>0</remove_disconnected_node_after>`,
  );
  assert.ok(helper);
  const json = haproxyHelperJson(helper);
  assert.equal(json.haproxy_port, 1024);
  assert.equal(json.haproxy_protocol, 'https');
  assert.deepEqual(
    [json.haproxy_backend, json.haproxy_resolver, json.haproxy_cert],
    ['b', 'r', '/c.pem'],
  );
  assert.deepEqual(
    [json.client_cert, json.client_cert_key, json.client_cert_password],
    ['/k.pem', '/k.key', 'p'],
  );
  assert.deepEqual(helper.excludedNodes, ['w1', 'w2']);
  assert.deepEqual([helper.everyS, helper.agentChunkSize, helper.reconnectionS], [10, 100, 0]);
  assert.deepEqual([helper.stabilityS, helper.imbalanceTolerance], [10, 1]);
  assert.equal(helper.removeDisconnectedAfterMin, 0);
});

test('one excluded node is a list of one, not a text that other names are part of', () => {
  const { helper } = read(`${needed}<excluded_nodes>worker1</excluded_nodes>`);
  assert.deepEqual(helper?.excludedNodes, ['worker1']);
});

test('an enabled helper is said not to be run by this node; a disabled or empty one is silent', () => {
  assert.match(read(needed).notes, /this node does not change HAProxy/);
  const off = read('<haproxy_disabled>yes</haproxy_disabled>');
  assert.equal(off.helper?.disabled, true);
  assert.equal(off.notes, '');
  assert.equal(read('').helper, undefined);
});

const refused: readonly (readonly [string, string])[] = [
  ['<haproxy_address>a</haproxy_address>', 'haproxy_disabled is missing'],
  [
    '<haproxy_disabled>maybe</haproxy_disabled>',
    "Detected an invalid value for the disabled tag 'haproxy_disabled'. Valid values are 'yes' and 'no'.",
  ],
  ['<haproxy_disabled>no</haproxy_disabled>', 'HAProxy address is missing in the configuration'],
  [
    '<haproxy_disabled>no</haproxy_disabled><haproxy_address>a</haproxy_address>',
    'HAProxy user is missing in the configuration',
  ],
  [
    '<haproxy_disabled>no</haproxy_disabled><haproxy_address>a</haproxy_address><haproxy_user>u</haproxy_user>',
    'HAProxy password is missing in the configuration',
  ],
  [`${needed}<colour>red</colour>`, "Invalid element in the configuration: 'colour'."],
  [`${needed}<frequency><deep>1</deep></frequency>`, 'HAProxy Helper frequency must be one text.'],
  [
    `${needed}<haproxy_protocol>ftp</haproxy_protocol>`,
    "Invalid value for haproxy_protocol. 'ftp' is not one of ['http', 'https']",
  ],
  ...numbers('haproxy_port', '1023 is less than the minimum of 1024'),
  ...numbers('haproxy_port', '65536 is greater than the maximum of 65535'),
  ...numbers('frequency', '9 is less than the minimum of 10'),
  ...numbers('agent_chunk_size', '99 is less than the minimum of 100'),
  ...numbers('agent_reconnection_time', '-1 is less than the minimum of 0'),
  ...numbers('agent_reconnection_stability_time', '9 is less than the minimum of 10'),
  ...numbers('remove_disconnected_node_after', '-1 is less than the minimum of 0'),
  [
    `${needed}<imbalance_tolerance>x</imbalance_tolerance>`,
    'HAProxy Helper imbalance_tolerance must be a float.',
  ],
  [
    `${needed}<imbalance_tolerance>nan</imbalance_tolerance>`,
    'HAProxy Helper imbalance_tolerance must be a float.',
  ],
  [
    `${needed}<imbalance_tolerance>0</imbalance_tolerance>`,
    'Invalid value for imbalance_tolerance. 0.0 is less than or equal to the minimum of 0',
  ],
  [
    `${needed}<imbalance_tolerance>1.5</imbalance_tolerance>`,
    'Invalid value for imbalance_tolerance. 1.5 is greater than the maximum of 1',
  ],
];

/** The value out of range, and one that is no number. */
function numbers(name: string, message: string): readonly (readonly [string, string])[] {
  const value = message.split(' ')[0] ?? '';
  return [
    [`${needed}<${name}>${value}</${name}>`, `Invalid value for ${name}. ${message}`],
    [`${needed}<${name}>ten</${name}>`, `HAProxy Helper ${name} must be an integer.`],
  ];
}

for (const [inner, text] of refused) {
  test(`refused: ${text} (${inner.slice(-60)})`, () => {
    assert.throws(
      () => read(inner),
      (error: unknown) =>
        error instanceof ConfigError &&
        error.message.startsWith('Error 3004 - Error in cluster configuration: ') &&
        error.message.includes(text),
    );
  });
}

test('https without a certificate is error 3042', () => {
  for (const protocol of ['https', 'HTTPS']) {
    assert.throws(
      () => read(`${needed}<haproxy_protocol>${protocol}</haproxy_protocol>`),
      /Error 3042 - User configuration is not valid: HAProxy certificate file required in the haproxy_cert parameter/,
    );
  }
});
