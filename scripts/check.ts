/** `npm run check`: format + lint, types, architecture. Prints each step; stops at the first failure. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const steps: readonly (readonly [string, readonly string[]])[] = [
  ['format and lint', ['node_modules/.bin/biome', 'check', '--error-on-warnings', '.']],
  ['types', ['node_modules/.bin/tsc', '-p', '.']],
  ['types of the web page', ['node_modules/.bin/tsc', '-p', 'src/web']],
  ['architecture', [process.execPath, '--test', 'test/architecture.test.ts']],
];

for (const [name, [command = '', ...args]] of steps) {
  process.stdout.write(`check: ${name}\n`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) {
    process.stderr.write(`check: ${name} failed${error ? `: ${error.message}` : ''}\n`);
    process.exit(1);
  }
}
process.stdout.write('check: clean\n');
