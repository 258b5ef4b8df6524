/** Tokens and the audit chain: forged, expired and revoked let nobody in; every change of the log shows. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openAudit } from '../../../src/host/audit-database.ts';
import { type AuditEntry, nextEntry, verifyChain } from '../../../src/publisher/api/audit.ts';
import {
  allows,
  findToken,
  mintToken,
  parseTokenFile,
  renderTokenFile,
} from '../../../src/publisher/api/token.ts';
import { scratchDirectory, startMs } from '../fixture.ts';

const wish = { name: 'grafana', role: 'read', nowMs: startMs, validMs: 60_000 } as const;
const minted = mintToken(wish, Buffer.alloc(38, 7));
const bearer = (text: string): string => `Bearer ${text}`;

test('a token lets its holder in until it ends; its secret is not in the file', () => {
  const tokens = parseTokenFile(renderTokenFile([minted.record])) ?? [];
  assert.equal(findToken(bearer(minted.text), tokens, startMs + 59_999)?.name, 'grafana');
  assert.equal(findToken(bearer(minted.text), tokens, startMs + 60_000), undefined);
  const secret = minted.text.split('.')[2] ?? '-';
  assert.ok(!renderTokenFile([minted.record]).includes(secret));
});

test('forged, cut, foreign and oversized tokens let nobody in', () => {
  const { text, record } = minted;
  const other = mintToken(wish, Buffer.alloc(38, 8)).text;
  const [, id] = text.split('.');
  const forged = [
    undefined,
    '',
    text,
    bearer(''),
    bearer(other),
    bearer(`pfa1.${id}.${other.split('.')[2]}`),
    bearer(text.slice(0, -1)),
    bearer(`${text}A`),
    `bearer ${text}`,
    bearer(`pfa1.${id}.${record.hash}`),
    bearer('A'.repeat(100_000)),
    bearer(`pfa1.__proto__.${'A'.repeat(43)}`),
  ];
  for (const one of forged)
    assert.equal(findToken(one, [record], startMs), undefined, one?.slice(0, 80) ?? 'none');
  assert.equal(findToken(bearer(text), [], startMs), undefined);
});

test('roles include the lower ones; a damaged file lets nobody in', () => {
  assert.deepEqual(
    (['read', 'operate', 'admin'] as const).map((role) => allows(role, 'operate')),
    [false, true, true],
  );
  for (const text of [
    '',
    '{',
    '[]',
    '{"spec":2,"tokens":[]}',
    '{"spec":1,"tokens":[{"id":"x"}]}',
  ]) {
    assert.equal(parseTokenFile(text), undefined);
  }
});

const factsOf = (action: string) => ({
  atMs: startMs,
  who: 'ada',
  role: 'operate',
  from: '127.0.0.1',
  action,
  outcome: 'done',
});

test('whatever is changed, removed, put in, reordered or cut off shows', () => {
  const chain: AuditEntry[] = [];
  for (const action of ['drain a', 'undrain a', 'publish', 'rollback 3']) {
    chain.push(nextEntry(chain.at(-1), factsOf(action)));
  }
  const last = chain.at(-1);
  assert.ok(last);
  const head = { seq: last.seq, hash: last.hash };
  assert.equal(verifyChain(chain, head).kind, 'whole');
  const [first, second, third, fourth] = chain;
  assert.ok(first && second && third && fourth);
  const rewritten = nextEntry(first, factsOf('drain b'));
  const attacks = [
    [{ ...first, who: 'eve' }, second, third, fourth],
    [first, { ...second, outcome: 'forbidden' }, third, fourth],
    [first, third, fourth],
    [first, rewritten, third, fourth],
    [first, second, fourth, third],
    [second, third, fourth].map((entry) => ({ ...entry, seq: entry.seq - 1 })),
    [first, second, third],
    [],
  ];
  for (const attack of attacks) assert.equal(verifyChain(attack, head).kind, 'broken');
  assert.equal(verifyChain(chain.slice(1), head).kind, 'whole'); // the oldest were trimmed
});

const writer = fileURLToPath(new URL('./append-audit.ts', import.meta.url));

test('several processes append to one chain, and a row that was edited shows', (t) => {
  const path = join(scratchDirectory(t), 'audit.db');
  const log = openAudit(path);
  t.after(() => log.close());
  log.append(factsOf('first'));
  const ran = ['a', 'b'].map((name) => spawnSync(process.execPath, [writer, path, name, '20']));
  assert.deepEqual(
    ran.map(({ status }) => status),
    [0, 0],
    String(ran[0]?.stderr),
  );
  assert.deepEqual(log.verify(), { kind: 'whole', entries: 41, head: log.list(1)[0]?.hash });
  const thief = new DatabaseSync(path);
  thief.exec("UPDATE entries SET who = 'somebody' WHERE seq = 7");
  thief.close();
  const verdict = log.verify();
  assert.equal(verdict.kind === 'broken' && verdict.seq, 7);
});

test('what is too long is cut, so that one entry stays small', (t) => {
  const log = openAudit(join(scratchDirectory(t), 'audit.db'));
  t.after(() => log.close());
  log.append(factsOf('x'.repeat(1_000_000)));
  assert.equal(log.list(1)[0]?.action.length, 256);
  assert.equal(log.verify().kind, 'whole');
});
