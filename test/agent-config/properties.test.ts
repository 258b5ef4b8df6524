/** Properties that hold for every file in the agent's dialect, and for every byte soup. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { editedSpans, onlyDiffersIn } from '../../src/agent-config/bytes-edit.ts';
import type { Dialect } from '../../src/agent-config/dialect.ts';
import { type EditPlan, type EditWish, planEdit } from '../../src/agent-config/edit.ts';
import { readConfig } from '../../src/agent-config/servers.ts';
import { UneditableError } from '../../src/agent-config/uneditable.ts';
import { type Choose, makeFile, makeWish, mutate } from './dialect-files.ts';

const runs = { seed: 20260, numRuns: 400 } as const;

interface Made {
  readonly bytes: Buffer;
  readonly dialect: Dialect;
  readonly wish: EditWish;
}

/** fast-check decides every choice, so that a failing file shrinks. */
const made: fc.Arbitrary<Made> = fc.gen().map((draw) => {
  const choose: Choose = (bound) => draw(fc.nat, { max: bound - 1 });
  const dialect: Dialect = choose(2) === 0 ? '4' : '5';
  return { bytes: makeFile(choose, dialect).bytes, dialect, wish: makeWish(choose) };
});

const damaged: fc.Arbitrary<Made> = fc.gen().map((draw) => {
  const choose: Choose = (bound) => draw(fc.nat, { max: bound - 1 });
  const dialect: Dialect = choose(2) === 0 ? '4' : '5';
  return {
    bytes: mutate(choose, makeFile(choose, dialect).bytes),
    dialect,
    wish: makeWish(choose),
  };
});

/** Undefined where the file is one we leave alone. */
function planned({ bytes, dialect, wish }: Made): EditPlan | undefined {
  try {
    return planEdit(bytes, dialect, wish);
  } catch (thrown) {
    assert.ok(thrown instanceof UneditableError, String(thrown));
    return undefined;
  }
}

function checkEdit(given: Made): void {
  const plan = planned(given);
  if (plan?.kind !== 'changed') return;
  const { bytes, dialect, wish } = given;
  assert.ok(onlyDiffersIn(bytes, plan.bytes, plan.edits), 'bytes outside the edits changed');
  assert.equal(planEdit(plan.bytes, dialect, wish).kind, 'unchanged', 'not idempotent');
  const reading = readConfig(plan.bytes, dialect);
  assert.ok(reading.kind === 'starts');
  const wanted = dialect === '4' ? wish.servers : wish.servers.slice(0, 1);
  const loaded = dialect === '4' ? reading.servers : reading.servers.slice(0, 1);
  assert.deepEqual(
    loaded.map(({ address, port }) => [plain(address), port]),
    wanted.map(({ address, port }) => [plain(address), port]),
  );
}

/** The only IPv6 address the made wishes hold, in either spelling. */
function plain(address: string): string {
  const isIpv6 = address === '2001:0DB8:0000:0000:0000:0000:0000:0001';
  return isIpv6 ? '2001:db8::1' : address.toLowerCase();
}

test('an edit leaves every other byte, loads exactly the wanted list and is idempotent', () => {
  fc.assert(fc.property(made, checkEdit), runs);
});

test('an edit of a damaged file is just as exact, or none', () => {
  fc.assert(fc.property(damaged, checkEdit), runs);
});

test('what was put in place is readable ASCII, one element per line', () => {
  fc.assert(
    fc.property(made, (given) => {
      const plan = planned(given);
      if (plan?.kind !== 'changed') return;
      const fresh = editedSpans(plan.edits)
        .map(({ start, end }) => plan.bytes.toString('latin1', start, end))
        .filter((text) => text.includes('<address>10.9.0.1</address>'));
      for (const text of fresh) {
        const block =
          /<server>(?:(?!<\/server>)[\s\S])*10\.9\.0\.1[\s\S]*?<\/server>/.exec(text)?.[0] ?? '';
        const lines = block.split(/\r\n|\n|\r/).map((line) => line.trim());
        assert.ok(
          lines.every((line) => (line.match(/<[a-z]/g) ?? []).length <= 1),
          block,
        );
      }
    }),
    runs,
  );
});

test('no bytes whatever make the scanner throw', () => {
  const soup = fc
    .array(
      fc.constantFrom(
        '<',
        '>',
        '/',
        '!',
        '-',
        '\\',
        '"',
        "'",
        '=',
        ' ',
        '\n',
        '\0',
        '\xff',
        'a',
        '<ossec_config>',
        '<client>',
        '<server>',
        '<address>',
        '</',
        '<!--',
        '-->',
      ),
      { maxLength: 60 },
    )
    .map((parts) => Buffer.from(parts.join(''), 'latin1'));
  const anything = fc.oneof(soup, fc.uint8Array({ maxLength: 200 }));
  fc.assert(
    fc.property(anything, fc.constantFrom<Dialect>('4', '5'), (bytes, dialect) => {
      const reading = readConfig(bytes, dialect);
      if (reading.kind !== 'refused') return;
      const { line, column, offset, said, fix } = reading.problem;
      assert.ok(line >= 1 && column >= 1 && offset <= bytes.length && said !== '' && fix !== '');
    }),
    { ...runs, numRuns: 3000 },
  );
});

test('every prefix of a file is read without throwing, and none is edited wrongly', () => {
  fc.assert(
    fc.property(made, (given) => {
      for (let length = 0; length < given.bytes.length; length += 7) {
        checkEdit({ ...given, bytes: given.bytes.subarray(0, length) });
      }
    }),
    { ...runs, numRuns: 12 },
  );
});

test('a view into a larger buffer is read like a copy of it', () => {
  fc.assert(
    fc.property(made, ({ bytes, dialect }) => {
      const around = Buffer.concat([Buffer.from('<x'), bytes, Buffer.from('</x>')]);
      const view = new Uint8Array(around.buffer, around.byteOffset + 2, bytes.length);
      assert.deepEqual(readConfig(view, dialect), readConfig(Uint8Array.from(bytes), dialect));
    }),
    { ...runs, numRuns: 100 },
  );
});

const large: readonly (readonly [string, (size: number) => string])[] = [
  [
    'localfile sections',
    (size) => wrap(`<localfile><location>/var/log/x.log</location></localfile>\n`, size),
  ],
  ['backslashes', (size) => `${'\\'.repeat(size)}${wrap('', 0)}`],
  ['comment openers in one comment', (size) => wrap(`<!--${'<!'.repeat(size / 2)}-->`, 1)],
  ['servers on one line', (size) => inClient('<server><address>10.0.0.1</address></server>', size)],
  ['server-ip entries', (size) => inClient('<server-ip>10.0.0.1</server-ip>\n', size)],
  [
    'blocks with one server',
    (size) => wrap(`<client><server><address>10.0.0.1</address></server></client>\n`, size),
  ],
  [
    'values full of comments',
    (size) => wrap(`<client><notify_time>${'<!---->'.repeat(200)}9</notify_time></client>`, size),
  ],
];

for (const [what, make] of large) {
  test(`time is linear in the file: ${what}`, () => {
    const wish = makeWish((bound) => bound - 1);
    const quick = spentMs(() => planned({ bytes: Buffer.from(make(500_000)), dialect: '4', wish }));
    const slow = spentMs(() =>
      planned({ bytes: Buffer.from(make(2_000_000)), dialect: '4', wish }),
    );
    // Four times the bytes: linear is about 4, quadratic about 16. Small times are noise.
    assert.ok(slow < Math.max(1500, quick * 10), `${quick} ms, then ${slow} ms`);
  });
}

function wrap(part: string, size: number): string {
  const filler = part === '' ? '' : part.repeat(Math.max(1, Math.floor(size / part.length)));
  return `<ossec_config>\n<client><server><address>10.0.0.1</address></server></client>\n${filler}</ossec_config>\n`;
}

function inClient(part: string, size: number): string {
  return `<ossec_config>\n<client>${part.repeat(Math.floor(size / part.length))}</client></ossec_config>\n`;
}

/** Processor time of this process: what else the machine does must not matter. */
function spentMs(task: () => unknown): number {
  const before = process.cpuUsage();
  task();
  const { user, system } = process.cpuUsage(before);
  return Math.round((user + system) / 1000);
}
