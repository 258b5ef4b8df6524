/** The rules file: well-formed, its ids ours and unique, every event it names one that we write. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { parseEventLines, renderEventLine } from '../../src/diagnosis/event-line.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const text = readFileSync(join(root, 'installers/wazuh/pilotfish_rules.xml'), 'utf8');

interface Field {
  readonly name: string;
  readonly '#text': string;
}

interface Rule {
  readonly id: string;
  readonly level: string;
  readonly frequency?: string;
  readonly timeframe?: string;
  readonly if_sid?: string;
  readonly if_matched_sid?: string;
  readonly description: string;
  readonly field: readonly Field[];
  readonly mitre: readonly { readonly id: readonly string[] }[];
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  isArray: (name, path) => name === 'field' || name === 'mitre' || path === 'group.rule.mitre.id',
});
const rules = parser.parse(text).group.rule as readonly Rule[];

test('the file is XML, ids are 100000 to 100099, unique, and named before they are used', () => {
  assert.equal(XMLValidator.validate(text), true);
  const ids = rules.map(({ id }) => Number(id));
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.every((id) => id >= 100_000 && id < 100_100));
  const known = new Set(['503', '504', '506']);
  for (const rule of rules) {
    const named = [rule.if_sid, rule.if_matched_sid]
      .join(',')
      .split(',')
      .filter((one) => one !== '');
    assert.deepEqual(
      named.filter((one) => !known.has(one)),
      [],
      rule.id,
    );
    known.add(rule.id);
  }
});

test('levels are 0 to 15, MITRE ids have their form, and what counts has a time', () => {
  for (const { id, level, frequency, timeframe, description, mitre } of rules) {
    assert.ok(Number(level) >= 0 && Number(level) <= 15, id);
    assert.equal(frequency === undefined, timeframe === undefined, id);
    assert.ok(description.startsWith('Pilotfish: '), id);
    const ids = (mitre ?? []).flatMap((one) => one.id);
    assert.ok(
      ids.every((one) => /^T\d{4}(?:\.\d{3})?$/.test(one)),
      id,
    );
  }
  assert.ok(rules.filter(({ mitre }) => mitre !== undefined).length >= 5);
});

/** The names that the sources log, in every spelling of a call. */
function loggedEvents(): ReadonlySet<string> {
  const sources = globSync('src/**/*.ts', { cwd: root }).map((file) =>
    readFileSync(join(root, file), 'utf8'),
  );
  return new Set(
    sources
      .join('\n')
      .match(/'[a-z]+\.[a-z_]+'/g)
      ?.map((one) => one.slice(1, -1)),
  );
}

test('every event that a rule names is one that the programs write', () => {
  const logged = loggedEvents();
  const named = rules.flatMap(({ field }) =>
    (field ?? [])
      .filter(({ name }) => name === 'pilotfish.event')
      .flatMap((one) => one['#text'].split('|').map((part) => part.replace(/[\^$]/g, ''))),
  );
  assert.ok(named.length > 15);
  assert.deepEqual(
    named.filter((one) => !logged.has(one)),
    [],
  );
});

/** As analysisd does for rules without counting: the deepest rule whose fields all match. */
function ruleOf(line: string): Rule | undefined {
  const value = JSON.parse(line);
  const flat = new Map<string, string>([['integration', value.integration]]);
  for (const [name, one] of Object.entries(value.pilotfish))
    flat.set(`pilotfish.${name}`, `${one}`);
  const matches = ({ field = [] }: Rule): boolean =>
    field.every((one) => new RegExp(one['#text']).test(flat.get(one.name) ?? ''));
  let found = rules.find(({ id }) => id === '100000');
  for (let next = found; next !== undefined; ) {
    found = next;
    const { id } = next;
    next = rules.find(
      (rule) => rule.if_sid === id && rule.frequency === undefined && matches(rule),
    );
  }
  return found;
}

test('real event lines meet the rules that they are meant for', () => {
  const lineOf = (event: string, fields: Readonly<Record<string, string | number>>): string =>
    renderEventLine({ atMs: 0, program: 'sidecar', level: 'warn', event, fields });
  const cases = [
    ['list.served', { version: 7, reason: 'publish' }, '100001'],
    ['list.served', { version: 8, reason: 'rollback' }, '100002'],
    ['source.failed', { code: 'E102' }, '100003'],
    ['source.failed', { code: 'E206' }, '100004'],
    ['source.failed', { code: 'E404' }, '100005'],
    ['move.begun', { to: 'wm2', why: 'manager_down' }, '100010'],
    ['cycle.acted', { step: 'move', outcome: 'moved' }, '100012'],
    ['cycle.acted', { step: 'write', outcome: 'refused' }, '100013'],
    ['manager.changed', { manager: 'wm1', verdict: 'down' }, '100020'],
    ['manager.changed', { manager: 'wm1', verdict: 'up' }, '100000'],
    ['roster.unready', { manager: 'wm1' }, '100021'],
    ['apply.foreign_alarm', { reverts: 3 }, '100030'],
  ] as const;
  for (const [event, fields, id] of cases) {
    const line = lineOf(event, fields);
    assert.equal(parseEventLines(line).length, 1);
    assert.equal(ruleOf(line)?.id, id, line);
  }
});

test('stop and start of an agent that we move are quiet, for that agent alone', () => {
  const quiet = rules.find(({ id }) => id === '100090');
  assert.equal(quiet?.level, '1');
  assert.equal(quiet?.if_sid, '503,504,506');
  assert.equal(quiet?.if_matched_sid, '100010');
  assert.equal(quiet?.timeframe, '120');
  assert.ok(!('global_frequency' in (quiet ?? {})));
});
