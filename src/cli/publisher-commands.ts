/** `pilotfish-publisher` as one program: every command, the examples, the reference. */
import type { Command } from 'commander';
import { renderReference } from './config-file.ts';
import { addAgents, addExplain } from './publisher-agent-commands.ts';
import { addApiTokens, addAudit } from './publisher-api-commands.ts';
import { type CommandParts, defaultDirectory, firstForm } from './publisher-command.ts';
import { publisherSchema } from './publisher-config.ts';
import { addDiagnostics, addDoctor } from './publisher-doctor.ts';
import { addExport } from './publisher-export.ts';
import { addFollow } from './publisher-follow.ts';
import { addImport } from './publisher-import.ts';
import { addKeys } from './publisher-key-commands.ts';
import {
  addDrains,
  addHistory,
  addNodes,
  addPublish,
  addRollback,
  addWeight,
} from './publisher-list-commands.ts';
import { addPromotion } from './publisher-promotion-commands.ts';
import { addRollout } from './publisher-rollout-commands.ts';
import { addSimulate } from './publisher-simulate.ts';
import { addStatus } from './publisher-status.ts';
import { addTimeline } from './publisher-timeline.ts';
import { addInit, addRoot, addToken } from './publisher-trust-commands.ts';
import { buildProgram } from './run-command.ts';

export function buildPublisherProgram(parts: CommandParts): Command {
  const program = buildProgram(
    'pilotfish-publisher',
    'Signs and serves the list of managers that Wazuh agents may report to.',
    parts.terminal,
  ).addHelpText(
    'after',
    () => `${examples}\n${firstForm}\nConfiguration (publisher.yml):\n${reference()}`,
  );
  addInit(program, parts);
  addToken(program, parts);
  addFollow(program, parts);
  addRun(program, parts);
  addRoot(program, parts);
  addStatus(program, parts);
  addNodes(program, parts);
  addPublish(program, parts);
  addDrains(program, parts);
  addWeight(program, parts);
  addHistory(program, parts);
  addRollback(program, parts);
  addKeys(program, parts);
  addRollout(program, parts);
  addPromotion(program, parts);
  addAgents(program, parts);
  addExplain(program, parts);
  addSimulate(program, parts);
  addImport(program, parts);
  addExport(program, parts);
  addApiTokens(program, parts);
  addAudit(program, parts);
  addDoctor(program, parts);
  addDiagnostics(program, parts);
  addTimeline(program, parts);
  return program;
}

const examples = `
Examples:
  pilotfish-publisher init --dir /var/lib/pilotfish-publisher --org acme \\
      --manager wm1.acme.example --manager wm2.acme.example:1515 \\
      --url https://p1.acme.example:8443
  pilotfish-publisher run                      serve until SIGTERM; SIGHUP reads the configuration
  pilotfish-publisher token --group default    what \`pilotfish join\` takes on an agent host
  pilotfish-publisher follow TOKEN             a second publisher that serves the same bytes
  pilotfish-publisher status                   what is wrong, then how everything is
  pilotfish-publisher nodes                    every manager, asked now
  pilotfish-publisher agents --filter state=failed        who holds what, who does not, and why
  pilotfish-publisher rollout status           waves, bars, what is heard; pause, resume, abort
  pilotfish-publisher promotion rehearse       what a promotion of this node to master would do
  pilotfish-publisher explain 042              why agent 042 is where it is
  pilotfish-publisher publish --dry-run        what a changed configuration would change
  pilotfish-publisher drain wm1                agents leave wm1; undrain takes them back
  pilotfish-publisher weight wm1 50            half the agents of a manager with 100
  pilotfish-publisher root renew --manager wm3.acme.example      allow one more manager
  pilotfish-publisher simulate --down wm1      who would go where, before it happens
  pilotfish-publisher export /srv/pilotfish    list and roots as files for nginx or a CDN
  pilotfish-publisher doctor                   what is wrong here, and what to do
  pilotfish-publisher rollback 7               a new version with the content of version 7

Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 degraded or would change, 4 trust failure.
`;

function reference(): string {
  return renderReference(publisherSchema);
}

function addRun(program: Command, { host, signals }: CommandParts): void {
  program
    .command('run')
    .description('serve the list until SIGTERM; SIGHUP reads the configuration again')
    .option('--dir <dir>', 'directory of the publisher', defaultDirectory)
    .addHelpText(
      'after',
      () => `\n${reloadHelp}\nConfiguration (publisher.yml):\n${reference()}\n\n${firstForm}`,
    )
    .action((flags: { readonly dir: string }) => host.run(flags.dir, signals()));
}

const reloadHelp = `SIGHUP takes managers, list and probe from the file; listen, files, limits and log are read at
the start. A file with a mistake changes nothing, is logged (reload.failed) and shown by \`status\`.
`;
