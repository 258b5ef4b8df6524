/** The real terminal. Named by `*-main.ts` only. */
import { systemCodeOf } from '../guards.ts';
import type { Terminal } from './terminal.ts';

export function processTerminal(node: NodeJS.Process): Terminal {
  // `… | head` closes our output early: the rest has no reader, and that is no failure.
  node.stdout.on('error', (error) => {
    if (systemCodeOf(error) !== 'EPIPE') throw error;
    node.exit();
  });
  // Where complaints cannot be written there is nobody to complain to: the exit code still tells.
  node.stderr.on('error', () => undefined);
  return {
    out: (text) => void node.stdout.write(text),
    err: (text) => void node.stderr.write(text),
    isTty: node.stdout.isTTY === true,
    noColor: (node.env.NO_COLOR ?? '') !== '',
    columns: node.stdout.columns ?? 80,
  };
}
