/** `api-token create | list | revoke`, `audit list | verify`. */
import { type Command, Option } from 'commander';
import { ConfigError } from '../errors.ts';
import type { AuditEntry } from '../publisher/api/audit.ts';
import {
  maxTokens,
  mintToken,
  type Role,
  roles,
  type TokenRecord,
} from '../publisher/api/token.ts';
import { parseDurationMs } from './config-file.ts';
import {
  addCommand,
  audited,
  type CommandParts,
  type Common,
  readNumber,
} from './publisher-command.ts';
import { renderTable, show } from './terminal.ts';

interface CreateFlags {
  readonly name: string;
  readonly role: Role;
  readonly expires: string;
}

const maxValidMs = 366 * 86_400_000;

export function addApiTokens(program: Command, { terminal, host }: CommandParts): void {
  const group = program.command('api-token').description('who may use the HTTP API, by role');
  addCommand(group, 'create', 'a new token; it is shown once')
    .requiredOption('--name <name>', 'who uses it')
    .addOption(new Option('--role <role>', 'what it may').choices([...roles]).default('read'))
    .option('--expires <duration>', 'how long it is good for, at most 366d', '90d')
    .addHelpText('after', createHelp)
    .action(async (flags: Common & CreateFlags) => {
      const validMs = parseDurationMs(flags.expires) ?? 0;
      if (validMs < 60_000 || validMs > maxValidMs) {
        throw new ConfigError('usage', `--expires ${flags.expires}: 1m to 366d expected`);
      }
      if (!/^[\x20-\x7e]{1,64}$/.test(flags.name)) {
        throw new ConfigError('usage', '--name: 1 to 64 printable ASCII characters');
      }
      const wish = { name: flags.name, role: flags.role, nowMs: host.clock.nowMs(), validMs };
      const { text, record } = mintToken(wish, host.random.bytes(38));
      const create = (tokens: readonly TokenRecord[]): readonly TokenRecord[] => {
        const alive = tokens.filter(({ expiresAtMs }) => expiresAtMs > wish.nowMs);
        if (alive.length >= maxTokens) {
          throw new ConfigError('usage', `${maxTokens} tokens are alive: revoke some`);
        }
        return [...alive, record];
      };
      const action = `api-token create ${record.id} ${record.role}`;
      await audited({ host }, flags.dir, action, () => host.changeTokens(flags.dir, create));
      const { hash: _, ...told } = record;
      show(terminal, flags.json, { token: text, ...told }, () => text);
    });
  addCommand(group, 'list', 'tokens by name').action(async (flags: Common) => {
    const tokens = await host.changeTokens(flags.dir, undefined);
    const value = tokens.map(({ hash: _, ...token }) => token);
    show(terminal, flags.json, { tokens: value }, () => tokensText(tokens, host.clock.nowMs()));
  });
  addCommand(group, 'revoke', 'a token is no longer good, within a second')
    .argument('<id>', 'id, see list')
    .allowUnknownOption() // one of 64 ids begins with a dash
    .action(async (id: string, flags: Common) => {
      const revoke = (tokens: readonly TokenRecord[]): readonly TokenRecord[] => {
        if (tokens.some((one) => one.id === id)) return tokens.filter((one) => one.id !== id);
        throw new ConfigError('usage', `no token ${id}; \`api-token list\` shows them`);
      };
      const action = `api-token revoke ${id}`;
      await audited({ host }, flags.dir, action, () => host.changeTokens(flags.dir, revoke));
      show(terminal, flags.json, { revoked: id }, () => `token ${id} is revoked`);
    });
}

const createHelp = `
Roles: read looks, operate also drains, rolls back, publishes, holds rollouts, admin also reads audit and tokens.
The page: https://THIS_PUBLISHER/, which asks for the token.
The API: https://THIS_PUBLISHER/api/v1/openapi.json, with \`Authorization: Bearer TOKEN\`.
`;

function tokensText(tokens: readonly TokenRecord[], nowMs: number): string {
  const day = (atMs: number): string => new Date(atMs).toISOString().slice(0, 10);
  return renderTable(
    ['id', 'name', 'role', 'created', 'expires', ''],
    tokens.map(({ id, name, role, createdAtMs, expiresAtMs }) => [
      ...[id, name, role, day(createdAtMs), day(expiresAtMs)],
      expiresAtMs <= nowMs ? 'expired' : '',
    ]),
  );
}

const maxShown = 10_000;

export function addAudit(program: Command, { terminal, host, outcome }: CommandParts): void {
  const group = program.command('audit').description('who did what, in a chain of hashes');
  addCommand(group, 'list', 'newest first')
    .option('--limit <n>', 'how many', '50')
    .action(async (flags: Common & { readonly limit: string }) => {
      const limit = readNumber('--limit', flags.limit, maxShown);
      const entries = await host.withAudit(flags.dir, (log) => log.list(limit));
      show(terminal, flags.json, { entries }, () => auditText(entries));
    });
  addCommand(
    group,
    'verify',
    'nothing was changed, removed or put in; exit 4 if something was',
  ).action(async (flags: Common) => {
    const verdict = await host.withAudit(flags.dir, (log) => log.verify());
    if (verdict.kind === 'broken') outcome.exit = 4;
    show(terminal, flags.json, verdict, () =>
      verdict.kind === 'whole'
        ? `${verdict.entries} entries, none changed; head ${verdict.head}`
        : `broken at entry ${verdict.seq}: ${verdict.why}`,
    );
  });
}

function auditText(entries: readonly AuditEntry[]): string {
  return renderTable(
    ['seq', 'when', 'who', 'role', 'from', 'action', 'outcome'],
    entries.map(({ seq, atMs, who, role, from, action, outcome }) => [
      seq,
      new Date(atMs).toISOString().slice(0, 19).replace('T', ' '),
      ...[who, role, from, action, outcome],
    ]),
  );
}
