/** The real terminal. Named by `*-main.ts` only. */
import type { Terminal } from './terminal.ts';

export function processTerminal(node: NodeJS.Process): Terminal {
  return {
    out: (text) => void node.stdout.write(text),
    err: (text) => void node.stderr.write(text),
    isTty: node.stdout.isTTY === true,
    noColor: (node.env.NO_COLOR ?? '') !== '',
    columns: node.stdout.columns ?? 80,
  };
}
