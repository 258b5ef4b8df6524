/** The agent's own log, read from a mark on; rotation starts it anew. */
import { stat } from 'node:fs/promises';
import type { AgentLogReader } from '../applier/world.ts';
import { readBounded } from './read-bounded.ts';

const maxBytes = 64 * 1024;

export function openAgentLog(path: string): AgentLogReader {
  const size = (): Promise<number> =>
    stat(path).then(
      (stats) => stats.size,
      () => 0,
    );
  return {
    mark: size,
    async since(mark) {
      const end = await size();
      const from = end < mark ? 0 : mark;
      const bytes = await readBounded(path, maxBytes, Math.max(from, end - maxBytes));
      return bytes?.toString('utf8') ?? '';
    },
  };
}
