import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterConfigOf, type ReadConfig } from '../../../src/cluster/config.ts';
import { ConfigError } from '../../../src/errors.ts';
import { readClusterBlock } from '../../../src/wazuh/manager-cluster-block.ts';

const key = 'c98b62a9b6169ac5f67dae55ae4a9088';

function read(inner: string, own: readonly string[] = []): ReadConfig {
  const text = `<ossec_config><cluster>${inner}</cluster></ossec_config>`;
  return clusterConfigOf(readClusterBlock(text, 'ossec.conf'), own);
}

const usable = `<key>${key}</key><nodes><node>10.0.0.1</node></nodes>`;

test('a file without a cluster block means disabled', () => {
  const block = readClusterBlock('<ossec_config><global/></ossec_config>', 'ossec.conf');
  assert.equal(block, undefined);
  assert.equal(clusterConfigOf(block).config.disabled, true);
});

test('options that are not written have the stock defaults', () => {
  const { config, notes } = read(usable);
  assert.deepEqual(config, {
    disabled: false,
    nodeType: 'master',
    name: 'wazuh',
    nodeName: 'node01',
    key,
    port: 1516,
    bindAddress: '0.0.0.0',
    nodes: ['10.0.0.1'],
    hidden: 'no',
    haproxyHelper: undefined,
    extras: {},
  });
  assert.deepEqual(notes, []);
});

test('the stock template of a disabled cluster is read without complaint', () => {
  const { config } = read(`<name>wazuh</name><node_name>node01</node_name>
    <node_type>master</node_type><key></key><port>1516</port><bind_addr>0.0.0.0</bind_addr>
    <nodes><node>NODE_IP</node></nodes><hidden>no</hidden><disabled>yes</disabled>`);
  assert.equal(config.disabled, true);
});

test('names of options may be in any case, and unknown options are kept', () => {
  const { config } = read(`${usable}<Node_Name>w1</Node_Name><socket_timeout>5</socket_timeout>`);
  assert.equal(config.nodeName, 'w1');
  assert.deepEqual(config.extras, { socket_timeout: '5' });
});

test('an option that no daemon knows is kept, with a warning; the old timeouts are silent', () => {
  const { config, notes } = read(
    `${usable}<colour>red</colour><connection_timeout>1</connection_timeout>`,
  );
  assert.deepEqual(config.extras, { colour: 'red', connection_timeout: '1' });
  assert.equal(notes.length, 1);
  assert.match(notes[0]?.text ?? '', /Invalid element in the configuration: 'colour'/);
});

test('a disabled cluster is hidden', () => {
  assert.equal(read('<disabled>yes</disabled><hidden>no</hidden>').config.hidden, 'yes');
});

test('the last of several blocks counts, across several roots, with a warning', () => {
  const text = `<ossec_config><cluster>${usable}<node_name>a</node_name></cluster></ossec_config>
    <!-- a -- b --><ossec_config><cluster>${usable}<node_name>b</node_name></cluster></ossec_config>`;
  const { config, notes } = clusterConfigOf(readClusterBlock(text, 'ossec.conf'));
  assert.equal(config.nodeName, 'b');
  assert.match(notes[0]?.text ?? '', /multiple cluster sections/);
});

test('what managers write and XML forbids is read: bare & and < and escaped \\<', () => {
  const text = `<ossec_config><localfile><query>a & b < c \\<x</query></localfile>
    <cluster>${usable}</cluster></ossec_config>`;
  assert.equal(readClusterBlock(text, 'ossec.conf')?.count, 1);
});

test('a file that is no XML names the line', () => {
  assert.throws(
    () => readClusterBlock('<ossec_config>\n<cluster>\n</ossec_config>', 'ossec.conf'),
    (error: unknown) =>
      error instanceof ConfigError && /ossec\.conf: Error 3006 .*line \d/.test(error.message),
  );
});

const refused: readonly (readonly [string, string])[] = [
  ['', 'Unspecified key'],
  ['<key>short</key>', 'Key must be 32 characters long'],
  [`<key>${'ü'.repeat(32)}</key>`, 'Key must be 32 characters long'],
  [
    `${usable}<node_type>boss</node_type>`,
    'Invalid node type boss. Correct values are master and worker',
  ],
  [`${usable}<port>abc</port>`, 'Cluster port must be an integer.'],
  [`${usable}<port>1024</port>`, 'Port must be higher than 1024 and lower than 65535.'],
  [`${usable}<port>65535</port>`, 'Port must be higher than 1024 and lower than 65535.'],
  [`<key>${key}</key>`, 'Invalid elements in node fields: NODE_IP.'],
  [`<key>${key}</key><nodes><node>localhost</node></nodes>`, 'Invalid elements in node fields'],
  [`<key>${key}</key><nodes><node>127.0.1.1</node></nodes>`, 'Invalid elements in node fields'],
  [`${usable}<disabled>maybe</disabled>`, "Allowed values for 'disabled' field are 'yes' and 'no'"],
  [`${usable}<hidden>maybe</hidden>`, "Invalid value for element 'hidden': maybe."],
  [`${usable}<node_type></node_type>`, 'Node type is empty in configuration'],
  [`${usable}<port> 1516</port>`, 'Cluster port must be an integer.'],
  [`${usable}<port>-1516</port>`, 'Cluster port must be an integer.'],
  [`${usable}<port>99999999999999999999</port>`, 'Port must be higher than 1024 and lower than'],
  [`<key>${key}</key><nodes><node></node></nodes>`, 'Invalid elements in node fields: NODE_IP.'],
  [
    `<key>${key}</key><nodes><node>10.0.0.1</node><node>0.0.0.0</node></nodes>`,
    'Invalid elements in node fields: 0.0.0.0.',
  ],
  ['<disabled>yes</disabled><port>abc</port>', 'Cluster port must be an integer.'],
  [`${usable}<disabled>YES</disabled>`, "are 'yes' and 'no'. Found: 'YES'"],
  [`${usable}<name></name>`, 'Cluster name is empty in configuration'],
  [`${usable}<node_name></node_name>`, 'Node name is empty in configuration'],
  [`${usable}<name>a b</name>`, 'Detected a not allowed character in cluster name: "a b"'],
  [`${usable}<node_name>a/b</node_name>`, 'Detected a not allowed character in node name: "a/b"'],
  [`${usable}<node_name>a.b</node_name>`, 'Invalid node name format: "a.b"'],
];

for (const [inner, text] of refused) {
  test(`a block with ${inner || 'nothing'} is refused: ${text}`, () => {
    assert.throws(
      () => read(inner),
      (error: unknown) =>
        error instanceof ConfigError &&
        error.message.startsWith('Error 3004 - Error in cluster configuration: ') &&
        error.message.includes(text),
    );
  });
}

test('of several faults the one that stock finds first is told', () => {
  const told = (inner: string): string => {
    try {
      read(inner);
      return '';
    } catch (error) {
      return String(error);
    }
  };
  const rest = '<node_type>boss</node_type><port>80</port><nodes><node>localhost</node></nodes>';
  assert.match(told(`<key>x</key>${rest}<port>abc</port>`), /port must be an integer/);
  assert.match(told(`<key>x</key>${rest}`), /Key must be 32 characters long/);
  assert.match(told(`<key>${key}</key>${rest}`), /Invalid node type boss/);
});

test('elements that hold nothing are as good as none', () => {
  const { config } = read(`${usable}<port></port><disabled></disabled><bind_addr></bind_addr>
    <hidden></hidden><haproxy_helper></haproxy_helper>`);
  const { port, disabled, bindAddress, hidden, haproxyHelper } = config;
  assert.deepEqual(
    [port, disabled, bindAddress, hidden, haproxyHelper],
    [1516, false, '0.0.0.0', 'no', undefined],
  );
});

test('what else is wrong in a disabled block is nobody’s business', () => {
  const { config } = read(`<disabled>yes</disabled><key>x</key><node_type>boss</node_type>
    <port>80</port><name>a b</name><node_name></node_name><hidden>maybe</hidden>`);
  assert.equal(config.disabled, true);
});

test('a repeated option keeps its last value, and lists of nodes are joined', () => {
  const { config, notes } = read(`${usable}<node_name>a</node_name><node_name>b</node_name>
    <nodes><node>10.0.0.2</node></nodes>`);
  assert.equal(config.nodeName, 'b');
  assert.match(notes[0]?.text ?? '', /more than one node .* Using 10\.0\.0\.1 as master/);
});

test('127.0.0.1 is a possible master', () => {
  const { config } = read(`<key>${key}</key><nodes><node>127.0.0.1</node></nodes>`);
  assert.deepEqual(config.nodes, ['127.0.0.1']);
});

test('of several nodes the first is the master, and the file is to be mended', () => {
  const { config, notes } = read(
    `<key>${key}</key><nodes><node>10.0.0.1</node><node>10.0.0.2</node></nodes>`,
  );
  assert.deepEqual(config.nodes, ['10.0.0.1']);
  assert.match(notes[0]?.text ?? '', /Using 10\.0\.0\.1 as master/);
});

test('a block of 3.0 is mapped: client, interval, all members with this host among them', () => {
  const { config, notes } = read(
    `<key>${key}</key><node_type>client</node_type><interval>2m</interval><hidden>yes</hidden>
     <nodes><node>10.0.0.7</node><node>10.0.0.1</node></nodes>`,
    ['127.0.0.1', '10.0.0.7'],
  );
  assert.equal(config.nodeType, 'worker');
  assert.equal(config.hidden, 'yes');
  assert.deepEqual(config.nodes, ['10.0.0.1']);
  const told = notes.map(({ text }) => text).join('\n');
  assert.match(told, /Deprecated node type 'client'/);
  assert.match(told, /Interval option is not longer available/);
  assert.match(told, /being this host: 10\.0\.0\.7/);
});
