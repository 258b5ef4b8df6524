/** What a publisher, a mirror or a stolen list key may serve, and must not get past the shell. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { encodeBase64Url, encodeUtf8, sha256Tag } from '../../src/bytes.ts';
import { renderFlat, signFlat } from '../../src/list/flat.ts';
import type { Manager, ManagerList, ZoneAddress } from '../../src/list/model.ts';
import { renderList } from '../../src/list/parse-list.ts';
import { renderRoot } from '../../src/list/parse-root.ts';
import { renderToken } from '../../src/list/token.ts';
import {
  aManager,
  aToken,
  keyNamed,
  listKeys,
  rootKeys,
  signedRoot,
  strangerKey,
} from '../list/documents.ts';
import {
  awks,
  config,
  listNow,
  OwnPublisher,
  PosixHost,
  program,
  type ServeOptions,
  signText,
} from './posix-stage.ts';

type Form = ReturnType<NonNullable<ServeOptions['bend']>>;

/** The list key signs whatever this makes of the text: a stolen key. */
function rewritten(change: (text: string) => string): ServeOptions {
  return { bend: (form, key) => signText(change(Buffer.from(form.text).toString()), key) };
}

/** Bytes change under way; the signature stays. */
function altered(
  change: (form: { text: string; signature: string }) => Partial<Record<keyof Form, string>>,
): ServeOptions {
  return {
    bend: (form) => {
      const text = Buffer.from(form.text).toString();
      const signature = Buffer.from(form.signature).toString();
      const now = { text, signature, ...change({ text, signature }) };
      return { text: encodeUtf8(now.text), signature: encodeUtf8(now.signature) };
    },
  };
}

const injected = 'x</address></server></client><localfile><command>id</command></localfile>';
const base = listNow();
const next = { version: base.version + 1 };
const others = (address: string) => [...base.managers.slice(0, 2), aManager('wm-09', { address })];
const dayAgo = Math.floor(Date.now() / 1_000) * 1_000 - 2 * 86_400_000;

/** The managers of `base`, the first with these addresses for other zones. */
function zoned(addresses: readonly ZoneAddress[]): readonly Manager[] {
  return base.managers.map((one, index) => (index === 0 ? { ...one, addresses } : one));
}

const awayIn = (zone: string) => (one: Manager, index: number) => ({
  ...one,
  addresses: [{ zone, address: `10.20.7.${index + 1}` }],
});

const attacks: readonly (readonly [string, RegExp, Partial<ManagerList>, ServeOptions])[] = [
  [
    'a changed port',
    /E206/,
    next,
    altered(({ text }) => ({ text: text.replace(' 1514 ', ' 1517 ') })),
  ],
  ['a line more', /E206/, next, altered(({ text }) => ({ text: `${text}end\n` }))],
  ['CRLF', /E206/, next, altered(({ text }) => ({ text: text.replaceAll('\n', '\r\n') }))],
  [
    'another signature',
    /E206/,
    next,
    altered(({ signature }) => ({ signature: signature.replace(/[AQgw]\n$/, 'B\n') })),
  ],
  ['no signature', /E206/, next, altered(() => ({ signature: 'pilotfish-signature 1\n' }))],
  ['a signature of a stranger', /E206/, next, { key: strangerKey }],
  ['a signature of one root key of two', /E206/, next, { key: rootKeys[0] }],
  ['a megabyte', /E105/, next, altered(({ text }) => ({ text: text + 'x'.repeat(1 << 20) }))],
  ['a page of HTML', /E206/, next, altered(() => ({ text: '<html>', signature: '<html>' }))],
  ['an older list', /E404/, { version: base.version - 1 }, {}],
  ['the same version with other content', /E405/, { managers: base.managers.slice(0, 2) }, {}],
  ['a leap', /E407/, { version: base.version + 2_000_000 }, {}],
  ['an earlier epoch', /E403/, { ...next, epoch: 2 }, {}],
  ['a root that nobody knows', /E403/, { ...next, rootVersion: 8 }, {}],
  ['another organisation', /E402/, { ...next, org: 'evil' }, {}],
  ['another group', /E402/, { ...next, aud: { group: 'x', site: 'eu-1' } }, {}],
  ['another site', /E402/, { ...next, aud: { group: 'default', site: 'x' } }, {}],
  [
    'an expired list without a receipt',
    /E406/,
    { ...next, issuedAtMs: dayAgo },
    { receipt: false },
  ],
  [
    'a list of the future',
    /E020/,
    { ...next, issuedAtMs: base.issuedAtMs + 7_200_000 },
    { receipt: false },
  ],
  ['validity beyond the root', /E408/, { ...next, validFor: 900_000 }, {}],
  ['a host outside the root', /E408/, { ...next, managers: others('wm.evil.example') }, {}],
  [
    'a suffix that only looks right',
    /E408/,
    { ...next, managers: others('evilmgr.acme.example') },
    {},
  ],
  ['a network outside the root', /E408/, { ...next, managers: others('10.21.0.1') }, {}],
  ['a port outside the root', /E408/, { ...next, managers: [aManager('wm-01', { port: 22 })] }, {}],
  [
    'a protocol outside the root',
    /E408/,
    { ...next, managers: [aManager('wm-01', { protocol: 'udp' })] },
    {},
  ],
  [
    'no manager up',
    /E408/,
    { ...next, managers: base.managers.map((one) => ({ ...one, state: 'down' })) },
    {},
  ],
  [
    'an endpoint twice',
    /E408/,
    { ...next, managers: [...base.managers, aManager('wm-08', { address: '127.77.2.1' })] },
    {},
  ],
  [
    'all managers gone at once',
    /E409/,
    { ...next, managers: [aManager('wm-11', { address: '10.20.0.9' })] },
    {},
  ],
  [
    'a host outside the root, for one zone',
    /E408/,
    { ...next, managers: zoned([{ zone: 'dmz', address: 'wm.evil.example' }]) },
    {},
  ],
  [
    'a port outside the root, for one zone',
    /E408/,
    { ...next, managers: zoned([{ zone: 'dmz', address: '10.20.0.9', port: 22 }]) },
    {},
  ],
  [
    'an endpoint twice, in one zone only',
    /E408/,
    { ...next, managers: zoned([{ zone: 'dmz', address: '127.77.2.2' }]) },
    {},
  ],
  [
    'an address for a manager that is not there',
    /E411/,
    next,
    rewritten((text) => text.replace('\nend', '\naddress wm-99 dmz 10.20.0.9 1514\nend')),
  ],
  [
    'two addresses for one zone',
    /E411/,
    next,
    rewritten((text) => {
      const line = 'address wm-01 dmz 10.20.0.9 1514';
      return text.replace('\nend', `\n${line}\n${line}\nend`);
    }),
  ],
  [
    'XML in an address for one zone',
    /E411/,
    next,
    rewritten((text) => text.replace('\nend', `\naddress wm-01 dmz ${injected} 1514\nend`)),
  ],
  [
    'all managers gone at once, seen from this zone',
    /E409/,
    { ...next, managers: base.managers.map(awayIn('here')) },
    {},
  ],
  ['XML in an address', /E411/, next, rewritten((text) => text.replace('127.77.2.1', injected))],
  [
    'a command in an address',
    /E411/,
    next,
    rewritten((text) => text.replace('127.77.2.1', '$(id)')),
  ],
  [
    'a second spelling of an address',
    /E411/,
    next,
    rewritten((text) => text.replace('127.77.2.1', '127.77.2.01')),
  ],
  ['a blank more', /E411/, next, rewritten((text) => text.replace(' tcp ', '  tcp '))],
  ['a line of another kind', /E411/, next, rewritten((text) => text.replace('spread', 'exec rm'))],
  [
    'a number beyond counting',
    /E411/,
    next,
    rewritten((text) => text.replace(/version \d+/, 'version 99999999999999999')),
  ],
  [
    'fewer managers than announced',
    /E411/,
    next,
    rewritten((text) => text.replace('managers 3', 'managers 2')),
  ],
  [
    'another format',
    /E401/,
    next,
    rewritten((text) => text.replace('pilotfish-list 1', 'pilotfish-list 2')),
  ],
];

/** What the whole program has to show; the rest is judged by its awk program alone, on every awk. */
const wholeRuns =
  /^(?:a changed port|CRLF|no signature|a signature of|a megabyte|a page|an older|an expired|XML)/;

for (const { name, argv } of awks) {
  test(`${name}: a list signed by a stolen key stays within what root, place and grammar allow`, (t) => {
    const judge = listJudge(t, argv);
    for (const [what, code, changes, options] of attacks) {
      if (/E105|E206/.test(code.source)) continue; // those are refused before
      const list = { ...base, ...changes };
      const { text } = (options.bend ?? ((form) => form))(
        signFlat(list, sha256Tag(renderList(list)), listKeys[0]),
        listKeys[0],
      );
      assert.match(judge(text, options.receipt !== false), code, what);
    }
    const addresses = [{ zone: 'dmz', address: '10.20.0.9' }];
    const honest = { ...base, managers: zoned(addresses), ...next };
    assert.equal(judge(renderFlat(honest, sha256Tag(renderList(honest))), true), '');
  });
}

/** list.awk as the shell calls it, on a host that holds `base`. Answers the refusal, or nothing. */
function listJudge(t: TestContext, [awk = '', ...first]: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'pilotfish-judge-'));
  t.after(() => rmSync(folder, { recursive: true, maxRetries: 9 }));
  const lib = join(program, '../lib');
  const put = (name: string, bytes: Uint8Array) => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };
  const run = (...args: readonly string[]) =>
    spawnSync(awk, [...first, ...args], { env: { PATH: process.env.PATH, LC_ALL: 'C' } }).stdout;
  const hash = sha256Tag(renderList(base));
  const payload = put('payload', renderRoot(new OwnPublisher().root));
  const root = put('root', run('-f', join(lib, 'json.awk'), payload));
  const { epoch, term, version } = base;
  const lines = `epoch ${epoch}\nterm ${term}\nversion ${version}\nhash ${hash}\n`;
  const state = put('state', encodeUtf8(lines));
  const known = put('known', renderFlat(base, hash));
  return (text: Uint8Array, isFresh: boolean): string => {
    const values = {
      ...{ org: base.org, group: 'default', site: 'eu-1', zone: 'here', rescue: 0 },
      ...{ now: Math.floor(Date.now() / 1_000), fresh: Number(isFresh) },
    };
    return run(
      ...['-f', join(lib, 'address.awk'), '-f', join(lib, 'list.awk')],
      ...Object.entries(values).flatMap(([key, value]) => ['-v', `${key}=${value}`]),
      ...['as=root', root, 'as=state', state, 'as=known', known, 'as=list', put('list', text)],
    ).toString();
  };
}

// Each has its own host and publisher, and mostly waits for programs of the shell.
describe('a hostile publisher and the shell', { concurrency: 4 }, () => {
  test('no list of a hostile publisher changes a byte, and each is refused by its own code', async (t) => {
    const publisher = new OwnPublisher();
    await publisher.start(t);
    publisher.serve(base);
    const host = new PosixHost(t, publisher);
    assert.equal((await host.run('join', host.path('token'))).exit, 0);
    for (const [what, code, changes, options] of attacks.filter(([name]) => wholeRuns.test(name))) {
      publisher.serve({ ...base, ...changes }, options);
      const { exit, err } = await host.run('run');
      assert.match(err, code, `${what}: ${err}`);
      assert.ok(exit === 3 || exit === 4, `${what}: exit ${exit}`);
    }
    assert.deepEqual([host.readConfig(), host.restarts], [config, 0]);
    publisher.serve({ ...base, ...next });
    assert.equal((await host.run('run')).exit, 0); // the honest list still finds its way
  });

  test('no root but the pinned one, or one its keys signed, is ever followed', async (t) => {
    const publisher = new OwnPublisher();
    await publisher.start(t);
    publisher.serve(base);
    const { root } = publisher;
    const host = new PosixHost(t, publisher);
    const join = () => host.run('join', host.path('token'));
    const served: readonly (readonly [RegExp, Uint8Array])[] = [
      [/E306/, signedRoot({ ...root, issuedAtMs: root.issuedAtMs + 1_000 })],
      [/E302/, signedRoot(root, [rootKeys[0]])],
      [/E302/, signedRoot(root, [rootKeys[0], rootKeys[0]])],
      [/E302/, signedRoot(root, [rootKeys[0], strangerKey])],
      [/E201/, encodeUtf8('{"payload":"e30","signatures":[],"extra":1}')],
      [/E201/, encodeUtf8('{"payload":"e30","payload":"e30","signatures":[]}')],
    ];
    for (const [code, envelope] of served) {
      publisher.serveRoot(root, envelope);
      const { exit, err } = await join();
      assert.match(err, code);
      assert.equal(exit, 4);
    }
    publisher.serveRoot(root);
    assert.equal((await join()).exit, 0);
    const evil = {
      ...root,
      version: 8,
      roles: { ...root.roles, list: { threshold: 1, kids: [rootKeys[2].kid] } },
    };
    const gap = { ...root, version: 9 };
    for (const [code, envelope] of [
      [/E302/, signedRoot(evil, [strangerKey, keyNamed('b')])],
      [/E301/, signedRoot(gap)],
      [/E301/, signedRoot({ ...root, version: 8, epoch: 2 })],
      [/E303/, signedRoot({ ...root, version: 8, org: 'other' })],
    ] as const) {
      publisher.serveRoot({ ...root, version: 8 }, envelope);
      const { exit, err } = await host.run('run');
      assert.match(err, code);
      assert.equal(exit, 4);
    }
    assert.equal(host.readConfig(), config);
  });

  test('a weak key in a root, a token with a typing error, and a host of another organisation', async (t) => {
    const publisher = new OwnPublisher();
    await publisher.start(t);
    publisher.serve(base);
    const host = new PosixHost(t, publisher);
    const x = encodeBase64Url(Buffer.alloc(32));
    const [first, ...rest] = Object.entries(publisher.root.keys);
    const weak = {
      ...publisher.root,
      keys: Object.fromEntries([
        [first?.[0] ?? '', { kty: 'OKP', crv: 'Ed25519', x } as const],
        ...rest,
      ]),
    };
    publisher.serveRoot(weak);
    const token = renderToken(
      aToken({
        publishers: [publisher.url],
        rootHash: sha256Tag(renderRoot(weak)),
        ca: publisher.pin,
      }),
    );
    writeFileSync(host.path('token'), token);
    assert.match((await host.run('join', host.path('token'))).err, /E30[25]/);
    writeFileSync(
      host.path('token'),
      publisher.token.replace(/\.(.)/, (_, one) => `.${one === 'e' ? 'f' : 'e'}`),
    );
    assert.match((await host.run('join', host.path('token'))).err, /E010 .*checksum/);
    publisher.serveRoot(publisher.root);
    writeFileSync(host.path('token'), publisher.token);
    assert.equal((await host.run('join', host.path('token'))).exit, 0);
    writeFileSync(host.path('other'), renderToken(aToken({ org: 'other' })));
    assert.match((await host.run('join', host.path('other'))).err, /E011/);
  });

  test('a server whose key is not pinned is not asked', async (t) => {
    const publisher = new OwnPublisher();
    await publisher.start(t);
    publisher.serve(base);
    const host = new PosixHost(t, publisher);
    const ca = `sha256/${Buffer.alloc(32, 1).toString('base64')}`;
    const rootHash = sha256Tag(renderRoot(publisher.root));
    writeFileSync(
      host.path('token'),
      renderToken(aToken({ publishers: [publisher.url], rootHash, ca })),
    );
    const { exit, err } = await host.run('join', host.path('token'));
    assert.match(err, /E104/);
    assert.deepEqual([exit, publisher.requests], [3, 0]);
  });
});
