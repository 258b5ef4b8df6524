/** ossec.conf as the cycle looks at it: what an agent of this version would load. Pure. */
import { dialectOf } from '../agent-config/dialect.ts';
import { readConfig } from '../agent-config/servers.ts';
import { sha256Tag } from '../bytes.ts';
import type { FileSeen } from './seen.ts';

/** A file that names no server, or only placeholders, is readable: it is ours to fill. */
export function fileSeenOf(bytes: Uint8Array, agentVersion: string | undefined): FileSeen {
  const dialect = dialectOf(agentVersion);
  const reading = readConfig(bytes, dialect);
  if (reading.kind === 'refused' || reading.kind === 'no_server') {
    const { line, column, said, fix } = reading.problem;
    return { kind: 'refused', code: 'E504', why: `line ${line}:${column}: ${said} (${fix})` };
  }
  const servers = dialect === '4' ? reading.servers : reading.servers.slice(0, 1);
  return {
    kind: 'readable',
    dialect,
    servers: servers.map(({ address, port, protocol, maxRetries, retryInterval }) => ({
      address,
      port,
      protocol,
      maxRetries,
      retryInterval,
    })),
    notifyTime: reading.notifyTime,
    timeReconnect: reading.timeReconnect,
    hash: sha256Tag(bytes),
  };
}
