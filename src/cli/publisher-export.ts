/** `pilotfish-publisher export`: a publisher that is only files. */
import type { Command } from 'commander';
import { ConfigError } from '../errors.ts';
import { addCommand, audited, type CommandParts, type Common } from './publisher-command.ts';
import { show } from './terminal.ts';

interface ExportFlags {
  readonly certificate?: string;
  readonly host: readonly string[];
}

export function addExport(program: Command, { terminal, host }: CommandParts): void {
  addCommand(program, 'export', 'list and roots as files, for nginx, any web server or a CDN')
    .argument('<folder>', 'what the web server serves')
    .option('--certificate <file>', 'also write a certificate and key for that server, 30 days')
    .option('--host <name...>', 'its host names or addresses', [])
    .addHelpText('after', exportHelp)
    .action(async (folder: string, flags: Common & ExportFlags) => {
      const { certificate, host: hosts } = flags;
      if ((certificate === undefined) !== (hosts.length === 0)) {
        throw new ConfigError('usage', 'export: --certificate and --host go together');
      }
      const wish = certificate === undefined ? undefined : { file: certificate, hosts };
      const action = `export ${folder}`;
      const done = await audited({ host }, flags.dir, action, () =>
        host.exportSite(flags.dir, folder, wish),
      );
      show(terminal, flags.json, done, () =>
        [
          `version ${done.version} in ${folder}${done.written.length === 0 ? ' already' : ''}`,
          ...done.written.map((name) => `  wrote ${name}`),
        ].join('\n'),
      );
    });
}

const exportHelp = `
Writes v1/list, v1/root/N, v1/list.txt with its signature, and nginx.conf to include. Sidecars ask a
static server as they ask a publisher (its URL in the root or the token, or sources.publishers) and
prove everything themselves; without receipts they go by the clock, so export more often than
list.validFor. \`export.folder\` in publisher.yml lets \`run\` do it at every change, and
\`export.certificates\` keeps certificates fresh, with a program that lets the server read them again.
Examples:
  pilotfish-publisher export /srv/pilotfish --certificate /etc/nginx/pf.pem --host lists.example.org
`;
