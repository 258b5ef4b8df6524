/**
 * A cluster node that kills itself, as `kill -9` would, before or after its N-th step on a
 * database or on the link. `node node-process.ts ROLE NAME FOLDER PORT KILL_AT`; 0 never does.
 * What it logs is in FOLDER/node.log.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildClusterNode } from '../../src/cli/build-cluster.ts';
import { Link } from '../../src/cluster/link.ts';
import { AgentDatabase } from '../../src/host/agent-database.ts';
import { SqliteFile } from '../../src/host/sqlite-file.ts';
import { nodeOptions } from './node-options.ts';

const [role = '', name = '', folder = '', port = '', killAt = '0'] = process.argv.slice(2);
const journal = join(folder, 'node.log');
let steps = 0;

function step(): void {
  steps += 1;
  if (steps === Number(killAt)) process.kill(process.pid, 'SIGKILL');
}

/** Count the calls of a method, each with a step before and one after. */
function counted<Name extends string>(
  prototype: { [name in Name]: (...args: never[]) => unknown },
  method: Name,
): void {
  const real = prototype[method] as (...args: unknown[]) => unknown;
  const counting = function (this: unknown, ...args: unknown[]): unknown {
    step();
    const result = real.apply(this, args);
    if (!(result instanceof Promise)) step();
    else result.then(step, step);
    return result;
  };
  Object.defineProperty(prototype, method, { value: counting });
}

counted(SqliteFile.prototype, 'run');
counted(SqliteFile.prototype, 'transaction');
counted(AgentDatabase.prototype, 'query');
counted(AgentDatabase.prototype, 'http');
counted(Link.prototype, 'request');
counted(Link.prototype, 'answer');

const node = buildClusterNode(
  nodeOptions({
    role: role === 'master' ? 'master' : 'worker',
    ...{ name, folder, port: Number(port), address: '127.0.0.1', everyS: 0.15 },
    log: {
      line: ({ level, subTag, message }) =>
        appendFileSync(journal, `${new Date().toISOString()} ${level} [${subTag}] ${message}\n`),
    },
  }),
);
process.stdout.write('up\n');
await node.run(new AbortController().signal);
