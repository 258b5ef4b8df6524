/** The picture of all tasks in the README names source files that are there. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tasks = [
  'keep alive',
  'local integrity',
  'integrity',
  'agent info',
  'local agent-groups',
  'agent groups send',
  'sendsync',
  'distributed API',
];

test('each task of the cluster stands in the README with its source files', () => {
  const readme = readFileSync(`${root}/README.md`, 'utf8');
  const rows = [...readme.matchAll(/^\| ([a-zA-Z -]+) \| [^|]+ \| (`[a-z].*\.ts`.*) \|$/gm)];
  assert.deepEqual(
    rows.map(([, task]) => task).filter((task) => tasks.includes(task ?? '')),
    tasks,
  );
  for (const [, task, files = ''] of rows) {
    for (const [, name] of files.matchAll(/`([a-z-]+\/[a-z-]+\.ts)`/g)) {
      assert.ok(existsSync(`${root}/src/cluster/${name}`), `${task}: ${name}`);
    }
  }
});
