/** `pilotfish-publisher follow`, and `status` of a follower. */
import type { Command } from 'commander';
import { ConfigError } from '../errors.ts';
import { parseToken } from '../list/token.ts';
import type { RunningStatus } from '../publisher/status/running.ts';
import {
  addCommand,
  auditedAfterwards,
  type CommandParts,
  type Common,
} from './publisher-command.ts';
import type { FollowedView } from './publisher-host.ts';
import { renderDuration, show } from './terminal.ts';

interface FollowFlags {
  readonly from?: readonly string[];
  readonly listen?: string;
}

export function addFollow(program: Command, { terminal, host }: CommandParts): void {
  addCommand(program, 'follow', 'make a publisher that serves what another one signs')
    .argument('<token>', "the writer's join token, see `token`")
    .option('--from <source...>', 'where the list comes from (default: the URLs of the token)')
    .option('--listen <host:port>', 'where to listen (default: 0.0.0.0:8443)')
    .addHelpText('after', followHelp)
    .action(async (token: string, flags: Common & FollowFlags) => {
      const from = flags.from ?? parseToken(token).publishers;
      if (from.length === 0) throw new ConfigError('usage', 'follow: --from names a source');
      const request = { token, from, listen: flags.listen ?? '0.0.0.0:8443' };
      await auditedAfterwards({ host }, flags.dir, 'follow', () => host.follow(flags.dir, request));
      show(terminal, flags.json, { directory: flags.dir, from }, () => afterwards(flags.dir, from));
    });
}

const followHelp = `
A follower proves what it gets as a sidecar does, keeps it through restarts and serves the same bytes
while the writer is away; it refuses every command that signs. What only the writer can do, receipts
above all, it asks of the https sources that it follows, on behalf of sidecars.
Sources, the newest wins: https://HOST:PORT of another publisher or of a server with its files,
\`cluster\` (our own node beside it, see the section cluster), the path of an exported folder, or
pilotfish.list in a group's shared folder, which stock nodes carry.
Its certificate: \`export.certificates\` in the writer's publisher.yml keeps a file fresh; carry it to
server.pem of --dir, it is read again when it changes. The writer's root names the follower's URL.
Examples:
  pilotfish-publisher follow pfj1.… --from https://p1.example.org:8443
  pilotfish-publisher follow pfj1.… --from cluster /var/ossec/etc/shared/default
`;

function afterwards(directory: string, from: readonly string[]): string {
  return `follows ${from.join(', ')}
next:
  put the certificate for this host into ${directory}/server.pem (on the writer: export.certificates)
  pilotfish-publisher run --dir ${directory}\n`;
}

/** The line about where the list comes from. */
export function followText(
  { from, held }: FollowedView,
  running: RunningStatus | undefined,
  nowMs: number,
): string {
  const ago = (atMs: number): string => `${renderDuration(Math.max(0, nowMs - atMs))} ago`;
  const facts = running?.follows;
  const source = facts?.source ?? held?.source;
  const takenAtMs = facts?.takenAtMs ?? held?.takenAtMs;
  const taken =
    source === undefined || takenAtMs === undefined
      ? 'no list came yet'
      : `the list came from ${source} ${ago(takenAtMs)}`;
  const fresh = facts?.freshAtMs === undefined ? '' : `, vouched for ${ago(facts.freshAtMs)}`;
  return `follows ${from.join(', ')}: ${taken}${fresh}\n`;
}
