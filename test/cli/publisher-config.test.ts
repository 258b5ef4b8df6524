import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tuningBounds } from '../../src/agent-config/wish.ts';
import { listKeys } from '../../src/cli/config-file.ts';
import { parsePublisherConfig, publisherSchema } from '../../src/cli/publisher-config.ts';
import { parseManagers } from '../../src/cli/publisher-endpoint.ts';
import { renderPublisherConfig } from '../../src/cli/publisher-template.ts';
import { clientDefaults } from '../../src/list/parse-list.ts';

const least = 'org: acme\nmanagers:\n  - {id: a, address: 10.0.0.1}\n';
const parse = (text: string) => parsePublisherConfig(text, 'publisher.yml');

test('organisation and one manager are enough; the rest has defaults', () => {
  const config = parse(least);
  assert.deepEqual(config.listen, { host: '0.0.0.0', port: 8443 });
  assert.deepEqual(config.configured, {
    managers: [
      {
        ...{ id: 'a', address: '10.0.0.1', port: 1514, protocol: 'tcp', zone: 'default' },
        ...{ prio: 0, weight: 100, state: 'up' },
      },
    ],
    client: clientDefaults,
    acceptRate: 100,
    validFor: 86_400,
    aud: { group: '*', site: '*' },
  });
});

test('every mistake names the file, the line or the key, and what is expected', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    [`${least}lits: {}\n`, /unknown key "lits" \(did you mean list\?\)/],
    [`${least}list: {polSec: 5}\n`, /unknown key "list\.polSec" \(did you mean list\.pollSec\?\)/],
    [`${least}list: {pollSec: 0}\n`, /publisher\.yml:4: list\.pollSec/],
    [`${least}list: {resignEvery: 20h}\n`, /list\.resignEvery: expected at most half/],
    [`${least}list: {acceptRate: 0}\n`, /publisher\.yml:4: list\.acceptRate/],
    ['org: acme\nmanagers: [{id: a, address: x, acceptRate: 1.5}]\n', /managers\.0\.acceptRate/],
    [`${least}listen: 8443\n`, /listen/],
    [`${least}listen: 'x:99999'\n`, /port above 65535/],
    ['org: acme\nmanagers: []\n', /at least one manager/],
    [
      'org: acme\nmanagers: [{id: a, address: "10.0.0"}]\n',
      /managers\.0\.address: expected a host/,
    ],
    [`${least}  - {id: a, address: 10.0.0.2}\n`, /managers: id a twice/],
    [`${least}  - {id: b, address: 10.0.0.1}\n`, /managers: address 10\.0\.0\.1:1514 twice/],
    [`${least}list: {balancers: [{address: 10.0.0.1}]}\n`, /address 10\.0\.0\.1:1514 twice/],
    [`${least}list: {balancers: [{address: 'a b'}]}\n`, /balancers\.0\.address: expected a host/],
    ['managers: [{id: a, address: x}]\n', /org/],
  ];
  for (const [text, pattern] of cases) {
    assert.throws(() => parse(text), { code: 'E002', message: pattern }, text);
  }
});

test('tuning keeps to the bounds of the editor that writes it, and the reference names them', () => {
  const reference = listKeys(publisherSchema);
  for (const [name, [low, high]] of Object.entries(tuningBounds)) {
    const tuned = (value: number) => parse(`${least}list: {${name}: ${value}}\n`);
    for (const value of [low, high]) {
      assert.partialDeepStrictEqual(tuned(value).configured.client, { [name]: value });
    }
    const message = (bound: number) => new RegExp(`publisher\\.yml:4: list\\.${name}: .*${bound}$`);
    assert.throws(() => tuned(low - 1), { code: 'E002', message: message(low) });
    assert.throws(() => tuned(high + 1), { code: 'E002', message: message(high) });
    const { type } = reference.find(({ key }) => key === `list.${name}`) ?? {};
    assert.equal(type, `integer ${low}..${high}`);
  }
});

test('what init writes is read back as what was asked', () => {
  const request = {
    org: 'acme',
    managers: parseManagers(['wm1.acme.example', '[2001:db8::1]:1515']),
    urls: ['https://p1.acme.example:8443'],
    listen: '[::]:8443',
    rootKeys: 1,
    threshold: 1,
  };
  const config = parse(renderPublisherConfig(request));
  assert.deepEqual(
    config.configured.managers.map(({ id, address, port }) => ({ id, address, port })),
    request.managers,
  );
  assert.deepEqual(config.listen, { host: '::', port: 8443 });
});

test('managers get the shortest id that tells them apart', () => {
  const idsOf = (...texts: readonly string[]) => parseManagers(texts).map((manager) => manager.id);
  assert.deepEqual(idsOf('wm1.a.example', 'WM2.a.example:1515'), ['wm1', 'wm2']);
  assert.deepEqual(idsOf('wm.a.example', 'wm.b.example'), ['wm-a-example', 'wm-b-example']);
  assert.deepEqual(idsOf('10.0.0.1:1514', '10.0.0.1:1515'), ['10-0-0-1-1514', '10-0-0-1-1515']);
  assert.deepEqual(idsOf('2001:db8::1'), ['2001-db8-1']);
  assert.deepEqual(idsOf('eu-1=10.0.0.1', '10.0.0.2:1515'), ['eu-1', '10-0-0-2']);
});

test('an id that is typed is taken as it is, or refused with what is allowed', () => {
  assert.deepEqual(parseManagers(['EU_1=[2001:db8::1]:1515']), [
    { id: 'EU_1', address: '2001:db8::1', port: 1515 },
  ]);
  for (const typed of ['=10.0.0.1', 'a b=10.0.0.1', '../x=10.0.0.1']) {
    assert.throws(() => parseManagers([typed]), /--manager .*expected an id of 1 to 64/);
  }
  assert.throws(() => parseManagers(['a=10.0.0.1', 'a=10.0.0.2']), /named twice/);
});
