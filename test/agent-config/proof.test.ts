/** The proof in front of every candidate, and the places where an edit would be dangerous. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyEdits, type Edit } from '../../src/agent-config/bytes-edit.ts';
import { planEdit } from '../../src/agent-config/edit.ts';
import { prove } from '../../src/agent-config/proof.ts';
import { readConfig } from '../../src/agent-config/servers.ts';
import { settle } from '../../src/agent-config/wish.ts';

const wish = { servers: [{ address: 'b', port: 1514, protocol: 'tcp' as const }] };
const server = (address: string): string => `<server><address>${address}</address></server>`;
const config = (client: string, rest = ''): string =>
  `<ossec_config><client>${client}</client>${rest}</ossec_config>`;

/** Replace `find` in `text` by `put` and ask for the proof. `after` overrules the edited bytes. */
function proveEdit(text: string, find: string, put: string, after?: string): void {
  const before = Buffer.from(text);
  const start = before.indexOf(find);
  const edits: readonly Edit[] = [{ start, end: start + find.length, text: Buffer.from(put) }];
  const reading = readConfig(before, '4');
  assert.ok(reading.kind === 'starts');
  const candidate = after === undefined ? applyEdits(before, edits) : Buffer.from(after);
  prove(
    { before, after: candidate, edits },
    { dialect: '4', reading, targets: settle(wish), wish },
  );
}

test('an exact edit is proven', () => {
  proveEdit(config(server('a')), '>a<', '>b<');
});

const doubts: readonly (readonly [string, RegExp, () => void])[] = [
  ['another list', /another list/, () => proveEdit(config(server('a')), '>a<', '>c<')],
  ['a broken file', /the agent would say/, () => proveEdit(config(server('a')), '>a<', '>b>')],
  [
    'no usable server',
    /no usable server/,
    () => proveEdit(config(server('a')), '>a<', '>MANAGER_IP<'),
  ],
  [
    'another setting',
    /another setting/,
    () =>
      proveEdit(
        config(`${server('a')}<notify_time>9</notify_time>`),
        'a</address></server><notify_time>9',
        'b</address></server><notify_time>8',
      ),
  ],
  [
    'a byte outside the edit',
    /bytes outside/,
    () => proveEdit(config(server('a'), ' '), '>a<', '>b<', config(server('b'), '\t')),
  ],
  [
    'a section swallowed by a comment',
    /other elements/,
    () =>
      proveEdit(
        config(server('a'), '<rootcheck/><!-- x -->'),
        'a</address></server></client>',
        'b</address></server></client><!',
      ),
  ],
];

for (const [what, message, attempt] of doubts) {
  test(`no proof: ${what}`, () => {
    assert.throws(attempt, (thrown) => thrown instanceof Error && message.test(thrown.message));
  });
}

const dangerous: readonly (readonly [string, string, string])[] = [
  [
    'a backslash keeps its blank when the server behind it goes',
    `${server('b')}\\\n${server('a')}`,
    `${server('b')}\\\n`,
  ],
  [
    'an escaped < keeps a neighbour when the server behind it goes',
    `${server('b')}\\<${server('a')}!-- x`,
    `${server('b')}\\< !-- x`,
  ],
  [
    'an even run of backslashes takes no blank along',
    `${server('b')}\\\\${server('a')}`,
    `${server('b')}\\\\`,
  ],
];

for (const [what, before, after] of dangerous) {
  test(what, () => {
    const plan = planEdit(Buffer.from(config(before)), '4', wish);
    assert.ok(plan.kind === 'changed');
    assert.equal(plan.bytes.toString(), config(after));
  });
}

test('a new server in front of a <var> that would lend it children is refused', () => {
  const text = `<ossec_config><client>${server('a')}</client><agent><var><port>99</port></var><notify_time>9</notify_time></agent></ossec_config>`;
  assert.throws(() => planEdit(Buffer.from(text), '5', wish), { reason: 'config_not_editable' });
});
