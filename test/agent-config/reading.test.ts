/** Details of the reading that the recorded verdicts do not reach. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Dialect, dialectOf, isBefore } from '../../src/agent-config/dialect.ts';
import { parseEndpoint, renderEndpoint } from '../../src/agent-config/endpoint.ts';
import { Refusal } from '../../src/agent-config/refusal.ts';
import { type ConfigReading, readConfig } from '../../src/agent-config/servers.ts';

function read(text: string, dialect: Dialect = '4'): ConfigReading {
  return readConfig(Buffer.from(text, 'latin1'), dialect);
}

function readable(text: string, dialect: Dialect = '4') {
  const reading = read(text, dialect);
  assert.ok(reading.kind !== 'refused', JSON.stringify(reading));
  return reading;
}

const server = '<server><address>10.0.0.1</address></server>';
const client = (inner: string): string => `<ossec_config><client>${inner}</client></ossec_config>`;
const agent = (inner: string): string => `<ossec_config><agent>${inner}</agent></ossec_config>`;

test('the version decides the dialect; an unknown one reads as 4', () => {
  const versions = [
    'v4.14.8',
    '4.0.0',
    'Wazuh v5.0.0-beta5',
    '5.1',
    'v10.0.0',
    'unknown',
    undefined,
  ];
  assert.deepEqual(versions.map(dialectOf), ['4', '4', '5', '5', '5', '4', '4']);
  assert.deepEqual(
    ['v3.13.0', '3.13.1', '4.0.0', undefined].map((version) => isBefore(version, [3, 13, 1])),
    [true, false, false, false],
  );
});

test('enrollment, tuning and verification are read along', () => {
  const four = readable(
    client(
      `${server}<notify_time>10</notify_time><notify_time>15</notify_time><time-reconnect>61</time-reconnect>` +
        '<enrollment><enabled>no</enabled><manager_address>::1</manager_address><port>99</port></enrollment>',
    ),
  );
  assert.equal(four.notifyTime, 15);
  assert.equal(four.timeReconnect, 61);
  assert.deepEqual(four.enrollment, {
    enabled: false,
    managerAddress: '0000:0000:0000:0000:0000:0000:0000:0001',
    port: 99,
  });
  const five = readable(
    agent(`${server}<ssl><verification_mode>full</verification_mode></ssl>`),
    '5',
  );
  assert.equal(five.verification, 'full');
  assert.deepEqual(readable(client(server)).enrollment, {
    enabled: true,
    managerAddress: undefined,
    port: 1515,
  });
});

test('a server knows its place in the file', () => {
  const text = `<ossec_config>\r\n<client>\r\n  ${server}\r\n</client></ossec_config>`;
  const [first] = readable(text).servers;
  assert.deepEqual(
    [first?.line, first?.column, text.slice(first?.start, first?.end)],
    [3, 3, server],
  );
});

test('children of a later <var> belong to the element before it, as in the agent', () => {
  const text = client(`${server}<var><port>99</port></var>`);
  assert.deepEqual(
    readable(text).servers.map(({ port }) => port),
    [99],
  );
  const lentSection = `${client(server)}<var><client><server><address>b</address></server></client></var>`;
  assert.deepEqual(
    readable(lentSection).servers.map(({ address }) => address),
    ['10.0.0.1', 'b'],
  );
});

test('<var> lends nothing across the end of a section', () => {
  const second = '<client><var><port>99</port></var><notify_time>1</notify_time></client>';
  const text = client(server).replace('</ossec_config>', `${second}</ossec_config>`);
  assert.deepEqual(
    readable(text).servers.map(({ port }) => port),
    [1514],
  );
});

test('an attribute called var makes the agent forget the ones before it', () => {
  const withAttributes = (attributes: string) =>
    client(server.replace('<server', `<server ${attributes}`));
  assert.equal(read(withAttributes('a="1" VAR="2" a="3"')).kind, 'starts');
  assert.equal(read(withAttributes('a="1" b="2" a="3"')).kind, 'refused');
});

test('1024 levels are read, one more is not', () => {
  const nested = (levels: number) =>
    `<ossec_config>${'<localfile>'.repeat(levels - 1)}${'</localfile>'.repeat(levels - 1)}</ossec_config>`;
  assert.equal(read(client(server) + nested(1024)).kind, 'starts');
  const tooDeep = read(client(server) + nested(1025));
  assert.ok(tooDeep.kind === 'refused');
  assert.match(tooDeep.problem.said, /Max recursion level reached/);
});

test('the text behind the last child is the value of an element', () => {
  const text = client('<server><address><x>no</x>10.0.0.2</address></server>');
  assert.deepEqual(
    readable(text).servers.map(({ address }) => address),
    ['10.0.0.2'],
  );
});

test('0xFF right behind < ends the file for the agent, and so it does for us', () => {
  const log = client(server).replace('<client>', '<localfile><\xffx>1</\xffx></localfile><client>');
  assert.equal(read(log).kind, 'refused');
  assert.equal(read(log.replaceAll('\xffx', 'x\xff')).kind, 'starts');
  assert.equal(read(`${client(server)}\\<\xff <broken`).kind, 'starts');
  assert.equal(read(`<!-- a -\xff -->${client(server)}`).kind, 'refused');
  assert.equal(read(`<!-- a \xff -->${client(server)}`).kind, 'starts');
});

test('ports beyond 32 bits wrap, beyond 64 bits they saturate', () => {
  const port = (digits: string) =>
    read(client(`<server><address>a</address><port>${digits}</port></server>`));
  const wrapped = port('4294968810');
  assert.ok(wrapped.kind === 'starts');
  assert.deepEqual(
    wrapped.servers.map((entry) => entry.port),
    [1514],
  );
  for (const digits of ['9'.repeat(40), '9223372036854775808', '9999999999999999999']) {
    const saturated = port(digits);
    assert.ok(saturated.kind === 'refused');
    assert.equal(saturated.problem.said, "(1205): Invalid port number: '-1'.");
  }
});

test('<batch> and <ciphers> of 5.x have bounds', () => {
  const good = [
    '<batch><size>1MB</size><interval>10s</interval></batch>',
    '<ssl><ciphers>TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384</ciphers></ssl>',
    '<stats_report><enabled>yes</enabled><interval>1d</interval></stats_report>',
  ];
  const bad = [
    '<batch><size>2GB</size></batch>',
    '<batch><size>0</size></batch>',
    '<batch><interval>2d</interval></batch>',
    '<batch><nonsense>1</nonsense></batch>',
    '<ssl><ciphers>AES128-SHA</ciphers></ssl>',
    '<ssl><ciphers>TLS_AES_128_GCM_SHA256:</ciphers></ssl>',
    '<config_report><enabled>maybe</enabled></config_report>',
  ];
  assert.deepEqual(
    good.filter((block) => read(agent(server + block), '5').kind !== 'starts'),
    [],
  );
  assert.deepEqual(
    bad.filter((block) => read(agent(server + block), '5').kind !== 'refused'),
    [],
  );
});

test('an endpoint is host, optional port and optional prefix', () => {
  const prefix = '/wazuh-manager/';
  assert.deepEqual(parseEndpoint('10.0.0.1', 0), {
    scheme: '',
    host: '10.0.0.1',
    address: '10.0.0.1',
    port: 1517,
    prefix: '',
  });
  const full = parseEndpoint(`https://[2001:db8::1]:99${prefix}`, 0);
  const host = '[2001:db8::1]';
  assert.deepEqual(full, { scheme: 'https://', host, address: '2001:db8::1', port: 99, prefix });
  assert.equal(renderEndpoint(full, 'wm-2', 1517), `https://wm-2:1517${prefix}`);
  assert.equal(renderEndpoint(full, '2001:db8::2', 1517), `https://[2001:db8::2]:1517${prefix}`);
  const zoned = parseEndpoint('[fe80::1%25eth0]/x', 0);
  assert.equal(renderEndpoint(zoned, 'FE80::1', 99), '[fe80::1%25eth0]:99/x');
});

for (const value of [
  'http://wm-1',
  'wm-1:0',
  'wm-1:65536',
  'wm-1//x',
  'wm-1/..',
  '::1',
  '[x]',
  'a b',
  ':99',
  '/edge',
  `a/${'p'.repeat(130)}`,
]) {
  test(`no endpoint: ${value.slice(0, 20)}`, () => {
    assert.throws(() => parseEndpoint(value, 0), Refusal);
  });
}

test('every refusal says where, what and how to mend it', () => {
  const broken = [
    '<a',
    '<a b>',
    '</a>',
    '<x></x>',
    client(''),
    client('<server/>'),
    client('<port> </port>'),
  ];
  for (const text of broken) {
    const reading = read(text);
    assert.ok(reading.kind === 'refused', text);
    assert.ok(reading.problem.line >= 1 && reading.problem.column >= 1);
    assert.match(reading.problem.said, /^\(\d{4}\): /);
    assert.notEqual(reading.problem.fix, '');
  }
});
