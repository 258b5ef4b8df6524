/** `import`: what an existing helper, backend or upstream becomes in publisher.yml. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { haproxyHelperOf } from '../cluster/haproxy-helper.ts';
import { ConfigError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { readClusterBlock } from '../wazuh/manager-cluster-block.ts';
import { importHelper } from './haproxy-import.ts';
import type { CommandParts } from './publisher-command.ts';
import { type ImportFlags, showPool } from './publisher-import-pool.ts';
import { printable, renderTable, show } from './terminal.ts';

interface Words extends ImportFlags {
  readonly haproxyHelper?: string;
}

export function addImport(program: Command, { terminal }: CommandParts): void {
  program
    .command('import')
    .description(
      'what a stock <haproxy_helper>, a HAProxy backend or an nginx upstream becomes here',
    )
    .option('--haproxy-helper <file>', "the manager's ossec.conf")
    .option('--haproxy <file>', 'haproxy.cfg, or a part of it: its servers become managers')
    .option('--nginx <file>', 'nginx.conf, or a part of it: the same')
    .option('--name <name>', 'the backend or upstream; needed where there are several')
    .option('--json', 'print JSON', false)
    .addHelpText('after', '\nNothing is written: the lines at the end are for publisher.yml.\n')
    .action(async (words: Words) => {
      const { haproxyHelper: path, json } = words;
      if (path === undefined) return showPool(terminal, words);
      if (words.haproxy !== undefined || words.nginx !== undefined) {
        throw new ConfigError('usage', 'import: one of --haproxy-helper, --haproxy and --nginx');
      }
      const seen = importHelper(haproxyHelperOf(await readSection(path)));
      const header = ['option', 'value', 'becomes', 'why'];
      const rows = seen.settings.map(({ option, value, becomes, why }) => [
        ...[option, value, becomes, why],
      ]);
      show(terminal, json, seen, () => `${renderTable(header, rows)}\n${linesOf(seen.yaml)}`);
    });
}

/** Throws ConfigError. */
async function readSection(path: string) {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new ConfigError('config_unreadable', `${path}: ${messageOf(error)}`, { cause: error });
  });
  const section = readClusterBlock(text, path)?.options.haproxy_helper;
  if (section !== undefined) return section;
  throw new ConfigError('config_invalid', `${path}: no <haproxy_helper> in a <cluster> block`);
}

function linesOf(yaml: string): string {
  return yaml.split('\n').map(printable).join('\n');
}
