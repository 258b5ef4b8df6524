import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createSeal } from '../../../src/cluster/wire/seal.ts';

/** Vectors made with python-cryptography (cluster-protocol.md 11.3). */
const key = 'c98b6ha9b6169zc5f67rae55ae4z5647';
const salt = {
  iv: Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex'),
  unixSeconds: 1_700_000_000,
};
const vectors = [
  [
    '',
    'gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD80BAfSnQKNBPhIiNo-LDyu-UPlEZmHaMXvz98-DZV4ePAg2jf6c9IX0YK_d183C-Q==',
  ],
  [
    'worker1 wazuh worker 4.14.8',
    'gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD1NQJAUwmnp9gF7Y_0lPdjSCUdKN-7SFelQY7DzTyYqWngXKkZ9eYBdtDWmE5PG1GrANpy6e6LmvopTmQL6zgDw=',
  ],
] as const;

for (const [plain, token] of vectors) {
  test(`seals and opens ${JSON.stringify(plain)} as python-cryptography does`, () => {
    const seal = createSeal(key);
    assert.equal(seal.seal(Buffer.from(plain), salt).toString(), token);
    assert.equal(seal.open(Buffer.from(token)).toString(), plain);
  });
}

test('open after seal is identity', () => {
  const seal = createSeal(key);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 500 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      (plain, iv) => {
        const token = seal.seal(plain, { iv, unixSeconds: 1 });
        assert.equal(seal.open(token).compare(plain), 0);
        assert.match(token.toString(), /^[A-Za-z0-9_-]+={0,2}$/);
      },
    ),
    { seed: 22, numRuns: 300 },
  );
});

test('one changed character anywhere is refused', () => {
  const seal = createSeal(key);
  const token = Buffer.from(vectors[1][1]);
  for (let index = 0; index < token.length - 1; index++) {
    const changed = Buffer.from(token);
    changed[index] = changed[index] === 65 ? 66 : 65;
    assert.throws(() => seal.open(changed), { reason: 'wire_unsealed' }, `character ${index}`);
  }
});

test('every length from 0 to 200 of noise is refused, none crashes', () => {
  const seal = createSeal(key);
  for (let length = 0; length <= 200; length++) {
    assert.throws(() => seal.open(Buffer.alloc(length, 'A')), { reason: 'wire_unsealed' });
    assert.throws(() => seal.open(Buffer.alloc(length, 0xff)), { reason: 'wire_unsealed' });
  }
});

test('a token of another key is refused', () => {
  const other = createSeal('abcdefghijklmnopQRSTUVWXYZ012345');
  assert.throws(() => other.open(Buffer.from(vectors[0][1])), { reason: 'wire_unsealed' });
});

test('a key that is not 32 word characters is refused', () => {
  for (const bad of ['', 'short', `${key}x`, `${key.slice(1)}-`, `${key.slice(1)}é`]) {
    assert.throws(() => createSeal(bad), { reason: 'config_invalid' });
  }
});
