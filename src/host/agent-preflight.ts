/**
 * `wazuh-agentd -t -c COPY` (agent-side.md 4.5) on a copy in our own directory: never on the live
 * temp file. It takes 4 s for each server name that does not resolve, so no answer in time says
 * nothing. Windows has no such test.
 */
import { access, constants, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Preflight } from '../applier/world.ts';
import type { AgentHome } from '../wazuh/agent-home.ts';
import { runProgram } from './run-program.ts';
import { writeDurably } from './two-generation-file.ts';

const timeoutMs = 60_000;

export function openPreflight(home: AgentHome, stateDirectory: string): Preflight {
  const copy = join(stateDirectory, 'candidate.conf');
  return {
    async test(candidate) {
      if (home.platform === 'windows') return { kind: 'unknown', why: 'Windows has no such test' };
      const runnable = await access(home.agentdPath, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (!runnable) return { kind: 'unknown', why: `${home.agentdPath} may not be run by us` };
      await writeDurably(copy, candidate);
      const argv = [home.agentdPath, '-t', '-c', copy];
      const { exit, stderr } = await runProgram({ argv, timeoutMs });
      await unlink(copy).catch(() => undefined); // 0600 in our own directory; the next test replaces it
      if (exit === 0) return { kind: 'accepted' };
      if (exit === undefined) return { kind: 'unknown', why: 'the test did not end in time' };
      return { kind: 'rejected', why: lastLine(stderr.toString()) || `exit code ${exit}` };
    },
  };
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.slice(0, 300) ?? '';
}
