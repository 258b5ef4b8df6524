/** Every command that writes leaves its mark in the audit log, and none that only looks does. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildPublisherHost } from '../../src/cli/build-publisher.ts';
import { buildPublisherProgram } from '../../src/cli/publisher-commands.ts';
import { scratchDirectory } from '../publisher/fixture.ts';
import { initPublisherDirectory, runPublisher } from './publisher-fixture.ts';

interface Entry {
  readonly action: string;
  readonly outcome: string;
  readonly from: string;
}

/** Oldest first. */
async function entriesOf(directory: string): Promise<readonly Entry[]> {
  const { out } = await runPublisher(['audit', 'list', '--json', '--dir', directory]);
  return JSON.parse(out).entries.reverse();
}

/** In an order in which each does its work. */
const writing: readonly (readonly [readonly string[], string])[] = [
  [['publish'], 'publish'],
  [['drain', 'm1'], 'drain m1'],
  [['undrain', 'm1'], 'undrain m1'],
  [['weight', 'm2', '50'], 'weight m2'],
  [['rollback', '1'], 'rollback 1'],
  [['rollout', 'pause'], 'rollout paused'],
  [['rollout', 'resume'], 'rollout resumed'],
  [['rollout', 'abort'], 'rollout aborted'],
  [['promotion', 'promote'], 'promotion promote'],
  [['promotion', 'demote'], 'promotion demote'],
  [['promotion', 'fence'], 'promotion fence'],
  [['token'], 'token default default'],
  [['root', 'renew'], 'root renew'],
  [['root', 'renew', '--new-list-key'], 'root renew, new list key'],
  [['keys', 'raise-epoch'], 'keys raise-epoch'],
  [['keys', 'replace-root', 'nobody'], 'keys replace-root nobody'],
  [['api-token', 'create', '--name', 'x'], 'api-token create'],
  [['api-token', 'revoke', 'nobody'], 'api-token revoke nobody'],
  [['export', 'SCRATCH'], 'export'],
];

/** They make the directory, and with it the log. */
const founding = ['init', 'follow', 'keys recover'];
/** Nothing is changed by them; `run` writes what its own settings say. */
const looking = [
  ...['run', 'status', 'nodes', 'history', 'rollout status', 'agents', 'explain', 'simulate'],
  ...['import', 'audit list', 'audit verify', 'api-token list', 'keys list', 'doctor', 'timeline'],
  ...['diagnostics', 'promotion status', 'promotion rehearse'],
];

/** `rollout pause`, from the words before the first argument. */
function nameOf(words: readonly string[], names: readonly string[]): string {
  return names.find((name) => name === words.slice(0, name.split(' ').length).join(' ')) ?? '';
}

/** All commands of the program, as they are typed. */
function allCommands(): readonly string[] {
  const program = buildPublisherProgram({
    terminal: {
      out: () => undefined,
      err: () => undefined,
      isTty: false,
      noColor: true,
      columns: 80,
    },
    host: buildPublisherHost(),
    outcome: { exit: 0 },
    signals: () => {
      throw new Error('nobody runs');
    },
  });
  return program.commands
    .filter((one) => one.name() !== 'help')
    .flatMap((one) =>
      one.commands.length === 0
        ? [one.name()]
        : one.commands.map((part) => `${one.name()} ${part.name()}`),
    );
}

test('every command is known to write, to found, or to look only', () => {
  const names = allCommands();
  const known = [...writing.map(([words]) => nameOf(words, names)), ...founding, ...looking];
  assert.deepEqual([...new Set(known)].sort(), [...names].sort());
});

test('every writing command leaves one order in the audit log, with how it ended', async (t) => {
  const publisher = await initPublisherDirectory(t, ['m1=10.0.0.1', 'm2=10.0.0.2']);
  const at = ['--dir', publisher.directory];
  for (const [words, action] of writing) {
    const before = (await entriesOf(publisher.directory)).length;
    const argv = words.map((word) => (word === 'SCRATCH' ? scratchDirectory(t) : word));
    await runPublisher([...argv, ...at]);
    const added = (await entriesOf(publisher.directory)).slice(before);
    const ends = added.filter(({ outcome }) => outcome !== 'asked');
    assert.equal(ends.length, 1, `${words.join(' ')}: ${JSON.stringify(added)}`);
    assert.ok(ends[0]?.action.startsWith(action), `${words.join(' ')}: ${ends[0]?.action}`);
    assert.equal(ends[0]?.from, 'command line');
  }
  const { exit } = await runPublisher(['audit', 'verify', ...at]);
  assert.equal(exit, 0);
});

test('what makes a directory is the first entry of its log', async (t) => {
  const publisher = await initPublisherDirectory(t, ['m1=10.0.0.1']);
  assert.equal((await entriesOf(publisher.directory))[0]?.action, 'init');
  const token = (await publisher.run('token')).out.trim().split('\n').at(-1) ?? '';
  const follower = join(scratchDirectory(t), 'f');
  await runPublisher(['follow', token, '--dir', follower]);
  assert.equal((await entriesOf(follower))[0]?.action, 'follow');
  const again = join(scratchDirectory(t), 'r');
  mkdirSync(again, { mode: 0o700 });
  for (const name of ['roots', 'root-keys']) {
    renameSync(join(publisher.directory, name), join(again, name));
  }
  const flags = ['--url', 'https://127.0.0.1:1', '--manager', 'm1=10.0.0.1'];
  const made = await runPublisher(['keys', 'recover', ...flags, '--dir', again]);
  assert.equal(made.exit, 0, made.err);
  assert.equal((await entriesOf(again))[0]?.action, 'keys recover');
});
