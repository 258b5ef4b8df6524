/** Man pages, completions and SBOMs say what the programs really are. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { renderCompletion } from '../../scripts/package/completion.ts';
import { renderManPage } from '../../scripts/package/man-page.ts';
import { renderSbom } from '../../scripts/package/sbom.ts';
import { readSurface } from '../../scripts/package/surface.ts';
import { programs } from '../../scripts/package/targets.ts';

const stamp = { version: '1.2.3', commit: '0123456789ab', epoch: 1_790_000_000 };

for (const program of programs) {
  const surface = readSurface(program);

  test(`${program}: the man page names every command and flag`, () => {
    const page = renderManPage(surface, stamp);
    assert.ok(surface.commands.length > 8);
    for (const { name, flags } of surface.commands) {
      for (const word of [name, ...flags.map(({ long }) => long)]) {
        assert.ok(page.includes(word.replaceAll('-', '\\-')), `${name}: ${word}`);
      }
    }
    assert.doesNotMatch(page.replaceAll('\n.', '\n'), /^'/m);
  });

  test(`${program}: bash completes commands, then their flags`, () => {
    const text = renderCompletion(surface, 'bash');
    const call = `_${program.replaceAll('-', '_')}`;
    const ask = (words: string, index: number): string => {
      const line = `${text}\nCOMP_WORDS=(${words}); COMP_CWORD=${index}; ${call}; echo "\${COMPREPLY[@]}"`;
      return spawnSync('bash', ['-c', line]).stdout.toString().trim();
    };
    assert.equal(ask(`${program} versi`, 1), 'version');
    assert.equal(ask(`${program} version --self`, 2), '--selftest');
  });
}

test('the SBOM lists what the bundle holds, with the hashes of the lock file', () => {
  const bundles = [
    { name: 'pilotfish', path: '', bytes: 0, packages: ['zod', 'commander'] },
    { name: 'pilotfish-publisher', path: '', bytes: 0, packages: ['fastify'] },
  ] as const;
  const sbom = JSON.parse(renderSbom('pilotfish', bundles, stamp)) as {
    components: { name: string; purl: string; hashes?: { content: string }[] }[];
  };
  assert.deepEqual(
    sbom.components.map(({ name }) => name),
    ['commander', 'zod', 'node'],
  );
  assert.match(sbom.components[0]?.hashes?.[0]?.content ?? '', /^[0-9a-f]{128}$/);
});
