/** `keys list | raise-epoch | replace-root | recover`: who may sign, and how that changes. */
import type { Command } from 'commander';
import type { KeyChange, KeyOutcome } from '../publisher/keys.ts';
import {
  addCommand,
  audited,
  auditedAfterwards,
  type CommandParts,
  type Common,
  withOffice,
} from './publisher-command.ts';
import { parseManagers } from './publisher-endpoint.ts';
import { renderTable, show } from './terminal.ts';

interface KeyWords {
  readonly rootKey?: readonly string[];
}

export function addKeys(program: Command, parts: CommandParts): void {
  const keys = program
    .command('keys')
    .description('who may sign roots and lists, and changing that');
  addList(keys, parts);
  addRecover(keys, parts);
  addCommand(keys, 'raise-epoch', 'revoke every list made so far and count versions anew')
    .option('--root-key <file...>', 'root key that does not lie in root-keys of the directory')
    .action((flags: Common & KeyWords) => change(parts, flags, { kind: 'raise_epoch' }));
  addCommand(keys, 'replace-root', 'a new root key in place of a lost one')
    .argument('<kid>', 'id of the lost key, see keys list')
    .allowUnknownOption() // one of 64 ids begins with a dash
    .option('--root-key <file...>', 'root key that does not lie in root-keys of the directory')
    .action((kid: string, flags: Common & KeyWords) =>
      change(parts, flags, { kind: 'replace_root', kid }),
    );
}

function addRecover(keys: Command, { terminal, host }: CommandParts): void {
  addCommand(keys, 'recover', 'a publisher made anew from the roots and the root keys alone')
    .requiredOption('--url <url...>', 'where sidecars will reach it')
    .requiredOption('--manager <endpoint...>', 'a manager as [ID=]HOST[:PORT], as the root allows')
    .option(
      '--listen <host:port>',
      'where to listen (default: all addresses, port of the first URL)',
    )
    .option('--root-key <file...>', 'root key that does not lie in root-keys of the directory')
    .addHelpText('after', recoverHelp)
    .action(async (flags: Common & RecoverWords) => {
      const port = new URL(flags.url[0] ?? '').port || '443';
      const request = {
        managers: parseManagers(flags.manager),
        urls: flags.url,
        listen: flags.listen ?? `0.0.0.0:${port}`,
        rootKeys: 1,
        threshold: 1,
      };
      const { root } = await auditedAfterwards({ host }, flags.dir, 'keys recover', () =>
        host.recover(flags.dir, request, flags.rootKey ?? []),
      );
      const value = { root: root.version, epoch: root.epoch, publishers: root.publishers };
      show(
        terminal,
        flags.json,
        value,
        () => `root ${root.version}, epoch ${root.epoch}\n${afterwards}`,
      );
    });
}

interface RecoverWords extends KeyWords {
  readonly url: readonly string[];
  readonly manager: readonly string[];
  readonly listen?: string;
}

const recoverHelp = `
--dir holds nothing but roots/1.json, roots/2.json … from a mirror or a backup.
`;
const afterwards = `next: run it here; hosts that pinned the lost authority get the new root and list once as files
(sources.files), or join again with a new token; from then on they ask this publisher\n`;

function addList(keys: Command, { terminal, host }: CommandParts): void {
  addCommand(keys, 'list', 'the keys of the newest root').action((flags: Common) =>
    withOffice(host, flags.dir, async ({ roots, desk }) => {
      const { root } = roots.newest;
      const rows = (['root', 'list', 'rescue'] as const).flatMap((role) => {
        const { threshold, kids } = root.roles[role];
        return kids.map((kid) => ({ role, kid, threshold, isHere: kid === desk.listKey.kid }));
      });
      const value = { root: root.version, epoch: root.epoch, keys: rows };
      show(terminal, flags.json, value, () => {
        const cells = rows.map(({ role, kid, threshold, isHere }) => [
          ...[role, kid, `${threshold} of ${root.roles[role].kids.length}`, isHere ? 'yes' : ''],
        ]);
        const head = `root ${root.version}, epoch ${root.epoch}\n`;
        return head + renderTable(['role', 'key', 'needed', 'signs here'], cells);
      });
    }),
  );
}

async function change(
  { terminal, host }: CommandParts,
  flags: Common & KeyWords,
  wanted: KeyChange,
): Promise<void> {
  const outcome = await audited({ host }, flags.dir, actionOf(wanted), () =>
    host.changeKeys(flags.dir, wanted, flags.rootKey ?? []),
  );
  await host.announce(flags.dir);
  const { root, revoked, added, rootKeyFile } = outcome;
  const value = { root: root.version, epoch: root.epoch, revoked, added, rootKeyFile };
  show(terminal, flags.json, value, () => changeText(outcome));
}

function actionOf(wanted: KeyChange): string {
  return wanted.kind === 'raise_epoch' ? 'keys raise-epoch' : `keys replace-root ${wanted.kid}`;
}

function changeText({ root, revoked, added, rootKeyFile }: KeyOutcome): string {
  const lines = [
    `root ${root.version}, epoch ${root.epoch}`,
    ...added.map((kid) => `+ ${kid}`),
    ...revoked.map((kid) => `- ${kid} counts no longer`),
    ...(rootKeyFile === undefined
      ? []
      : [`carry ${rootKeyFile} to its holder, then delete it here`]),
  ];
  return lines.map((line) => `${line}\n`).join('');
}
