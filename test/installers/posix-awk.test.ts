/** The awk programs of the POSIX applier against the code of the sidecar, and the agent's own parser. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { parseRecord } from '../../scripts/campaigns/verdicts.ts';
import { parseAddress } from '../../src/list/address.ts';
import { isCidr, isInside } from '../../src/list/cidr.ts';
import { renderFlat } from '../../src/list/flat.ts';
import type { Manager } from '../../src/list/model.ts';
import { rankManagers } from '../../src/list/select.ts';
import { managersSeenFrom } from '../../src/list/zone-addresses.ts';
import { aList, aManager } from '../list/documents.ts';

const lib = fileURLToPath(new URL('../../installers/posix/lib', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'pilotfish-awk-'));
after(() => rmSync(scratch, { recursive: true, maxRetries: 9 }));
const has = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;
const awks = [['awk'], ['busybox', 'awk']].filter(([name = '', ...rest]) =>
  has(name, ...rest, 'BEGIN{}'),
);

function file(name: string, bytes: string | Uint8Array): string {
  writeFileSync(join(scratch, name), bytes);
  return join(scratch, name);
}

function run([name = '', ...first]: readonly string[], ...args: string[]) {
  const ran = spawnSync(name, [...first, ...args], {
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
  });
  return { exit: ran.status, out: ran.stdout.toString('latin1'), err: ran.stderr.toString() };
}

const addresses = [
  ...[
    'wm1.acme.example',
    'a',
    'a-b.c',
    '-a.b',
    'a-.b',
    'a..b',
    'a.1',
    'a.0x1f',
    '1',
    '0x7f',
    'A.b',
  ],
  ...['10.0.0.1', '010.0.0.1', '256.1.1.1', '1.2.3', '1.2.3.4.5', '0.0.0.0', '10.0.0.1/8'],
  ...[
    '::',
    '::1',
    '1::',
    '2001:db8::1',
    '2001:DB8::1',
    '2001:db8:0:0::1',
    '2001:db8::0:1',
    '1:2:3:4:5:6:7:8',
  ],
  ...[
    '1:2:3:4:5:6:7::',
    '1:2:3:4::5:6:7:8',
    '0:0:0:1::',
    '::ffff:1.2.3.4',
    '::ffff:102:304',
    'fe80::1%eth0',
  ],
  ...[
    '1:0:0:2:0:0:0:3',
    '1::2:0:0:3',
    '1:0:0:2::3',
    '12345::',
    ':1',
    '1:',
    ':::',
    '[::1]',
    'a b',
    'a_b',
    'x</a>',
  ],
  ...[
    `${'a'.repeat(63)}.b`,
    `${'a'.repeat(64)}.b`,
    `${'a.'.repeat(63)}b`,
    'é.b',
    'a\\b',
    'a:b',
    "a'b",
  ],
];
const networks = [
  ...['10.0.0.0/8', '10.0.0.1/32', '0.0.0.0/0', '10.0.0.0/31', '2001:db8::/32', '2001:db8::/29'],
  ...['::1/128', '::/0', '1:2:3:4:5:6:7:8/127'],
].filter(isCidr);

for (const awk of awks) {
  const name = awk.join(' ');

  test(`${name}: addresses have the kind they have for the sidecar, networks the same members`, () => {
    const program = `{ print address_kind($0)
      for (n = 0; n < ${networks.length}; n++) printf "%d ", address_kind($0) != "" && address_kind($0) != "name" && inside($0, address_kind($0), net[n])
      print "" }
      BEGIN { ${networks.map((one, n) => `net[${n}] = "${one}"`).join('; ')} }`;
    const seen = run(
      awk,
      ...['-f', join(lib, 'address.awk'), '-f', file('address.awk', program)],
      file('addresses', `${addresses.join('\n')}\n`),
    );
    const expected = addresses.flatMap((text) => {
      const parsed = parseAddress(text);
      const inside = networks.map((one) => Number(parsed !== undefined && isInside(parsed, one)));
      return [parsed?.kind ?? '', inside.map((one) => `${one} `).join('')];
    });
    assert.deepEqual(seen.out.split('\n'), [...expected, '']);
  });

  test(`${name}: every agent gets the order that the sidecar would give it`, () => {
    const managers = fc.uniqueArray(
      fc.record({
        id: fc.stringMatching(/^[a-z0-9_-]{1,8}$/),
        zone: fc.constantFrom('z1', 'z2'),
        prio: fc.constantFrom(0, 1, 10, 1_000),
        weight: fc.constantFrom(0, 1, 7, 100, 1_000),
        state: fc.constantFrom('up' as const, 'drain' as const, 'down' as const),
        addresses: fc.constantFrom([], [{ zone: 'z1', address: '192.0.2.9', port: 2514 }]),
      }),
      { minLength: 1, maxLength: 16, selector: (one) => one.id },
    );
    fc.assert(
      fc.property(
        managers,
        fc.stringMatching(/^\d{3,6}$/),
        fc.constantFrom('', 'z1'),
        (some, agentId, zone) => {
          const all: readonly Manager[] = some.map((one) => aManager(one.id, one));
          const digits = all.map(
            ({ id }) => `${id} ${hash('sha256', `${agentId}\n${id}`, 'hex').slice(0, 13)}\n`,
          );
          const flat = renderFlat(aList({ managers: all }), `sha256:${'0'.repeat(64)}`);
          const { out } = run(
            awk,
            '-v',
            `zone=${zone}`,
            '-f',
            join(lib, 'order.awk'),
            file('digits', digits.join('')),
            file('list', flat),
          );
          const own = zone === '' ? undefined : zone;
          const place = own === undefined ? { agentId } : { agentId, zone: own };
          const ranked = rankManagers(managersSeenFrom(all, own), place);
          assert.deepEqual(
            out.trimEnd().split('\n'),
            ranked.map((one) => `${one.address} ${one.port} tcp ${one.id} ${one.state}`),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  test(`${name}: a configuration is read as the agent reads it, or refused`, () => {
    const records = gunzipSync(
      readFileSync(new URL('../fixtures/agent-config/verdicts-4.jsonl.gz', import.meta.url)),
    );
    // The shell refuses NUL before awk sees it.
    const all = records
      .toString('utf8')
      .split('\n')
      .filter((one) => one !== '')
      .map(parseRecord)
      .filter((one) => !one.file.includes(0));
    const folder = readAll(awk, all);
    const seen = (index: number, what: string): string =>
      readFileSync(join(folder, `${index}.${what}`), 'latin1');
    let read = 0;
    const refused: string[] = [];
    for (const [index, record] of all.entries()) {
      if (seen(index, 'exit') !== '0\n') {
        assert.match(seen(index, 'list'), /^REFUSED /, record.id);
        continue;
      }
      read += 1;
      if (record.verdict !== 'starts') {
        refused.push(record.id);
        continue;
      }
      const servers = record.servers.map(
        (one) => `${String(one.address).toLowerCase()} ${one.port} ${one.protocol}`,
      );
      assert.deepEqual(
        seen(index, 'list').toLowerCase().trimEnd().split('\n').map(expandV6),
        servers.map(expandV6),
        record.id,
      );
      assert.equal(seen(index, 'back'), wanted, record.id);
      const restored = seen(index, 'restored');
      assert.equal(restored, record.file.toString('latin1'), `${record.id}: put back`);
    }
    // Placeholders of a fresh install, and sections we never look into: the agent's own test of the
    // candidate stands between those and harm.
    assert.ok(refused.length <= 20, refused.join('\n'));
    assert.ok(read >= 25, `only ${read} files have a plain reading`);
  });
}

const wanted = '10.9.9.1 1514 tcp\nwm.example 1515 udp\n';

/**
 * Each file listed, edited, listed again, its region taken out and put back: `N.list`, `N.exit`, … in the
 * folder that comes back. By one shell: from here every process costs a copy of this one.
 */
function readAll(awk: readonly string[], all: readonly { readonly file: Buffer }[]): string {
  const folder = mkdtempSync(join(scratch, 'read-'));
  const rows = all.map((record, index) => {
    writeFileSync(join(folder, `${index}`), record.file);
    return `${index} ${record.file.at(-1) === 10 ? 0 : 1}\n`;
  });
  writeFileSync(join(folder, 'rows'), rows.join(''));
  writeFileSync(join(folder, 'wanted'), wanted);
  const script = `lib=$1; shift
while read -r n final; do
  "$@" -f "$lib/config.awk" -v "final=$final" -v mode=list "$n" >"$n.list"
  exit=$?
  echo "$exit" >"$n.exit"
  [ "$exit" = 0 ] || continue
  "$@" -f "$lib/config.awk" -v "final=$final" -v mode=edit -v wanted=wanted "$n" >"$n.edited"
  "$@" -f "$lib/config.awk" -v "final=$final" -v mode=list "$n.edited" >"$n.back"
  "$@" -f "$lib/config.awk" -v "final=$final" -v mode=region "$n" >"$n.region"
  "$@" -f "$lib/config.awk" -v "final=$final" -v mode=put -v "region=$n.region" "$n.edited" >"$n.restored"
done <rows`;
  const env = { PATH: process.env.PATH, LC_ALL: 'C' };
  execFileSync('sh', ['-c', script, 'sh', lib, ...awk], { cwd: folder, env, stdio: 'ignore' });
  return folder;
}

/** The agent stores IPv6 expanded and in capitals; one spelling for both. */
function expandV6(line: string): string {
  const [address = '', ...rest] = line.split(' ');
  const plain = isIPv6(address) ? new URL(`http://[${address}]`).hostname : address;
  return [plain, ...rest].join(' ');
}

test('shellcheck has nothing to say about the applier', (t) => {
  if (!has('shellcheck', '--version')) return t.skip('no shellcheck');
  const files = ['pilotfish-sh', 'install.sh'].map((one) => join(lib, '..', one));
  execFileSync('shellcheck', ['-s', 'sh', '-x', ...files], { stdio: 'pipe' });
});
