/** `import --haproxy-helper FILE`: what an existing helper's settings become in publisher.yml. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { haproxyHelperOf } from '../cluster/haproxy-helper.ts';
import { ConfigError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { readClusterBlock } from '../wazuh/manager-cluster-block.ts';
import { importHelper } from './haproxy-import.ts';
import type { CommandParts } from './publisher-command.ts';
import { printable, renderTable, show } from './terminal.ts';

interface Words {
  readonly haproxyHelper: string;
  readonly json: boolean;
}

export function addImport(program: Command, { terminal }: CommandParts): void {
  program
    .command('import')
    .description('what the settings of a stock <haproxy_helper> block become here')
    .requiredOption('--haproxy-helper <file>', "the manager's ossec.conf")
    .option('--json', 'print JSON', false)
    .addHelpText('after', '\nNothing is written: the lines at the end are for publisher.yml.\n')
    .action(async ({ haproxyHelper: path, json }: Words) => {
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
