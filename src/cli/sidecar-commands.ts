/** Every command of `pilotfish`: flags in, one action, text or JSON out. */
import type { Command } from 'commander';
import type { RestoreTarget } from '../applier/restore.ts';
import type { ApplyResult } from '../applier/result.ts';
import { ConfigError, type ExitCode, listReasons } from '../errors.ts';
import { reportOf, type StatusReport } from '../sidecar/report.ts';
import type { Step } from '../sidecar/step.ts';
import { parseDurationMs, renderReference } from './config-file.ts';
import { buildProgram } from './run-command.ts';
import { addCheck } from './sidecar-check.ts';
import { addCommand, type Common, currentStatus, type SidecarParts } from './sidecar-command.ts';
import { sidecarSchema } from './sidecar-config.ts';
import { addDiagnostics, addDoctor } from './sidecar-doctor.ts';
import type { JoinedHost, SidecarOffice } from './sidecar-host.ts';
import { joinText, listText, resultText, statusText, stepText } from './sidecar-output.ts';
import { addResolve } from './sidecar-resolve.ts';
import { addTimeline } from './sidecar-timeline.ts';
import { addTools } from './sidecar-tools.ts';
import { printableLines, show } from './terminal.ts';

export function buildSidecarProgram(parts: SidecarParts): Command {
  const program = buildProgram(
    'pilotfish',
    'Keeps this Wazuh agent connected: follows a signed list of managers, moves the agent away from dead ones.',
    parts.terminal,
  ).addHelpText(
    'after',
    () => `${examples}\nConfiguration (pilotfish.yml):\n${renderReference(sidecarSchema)}`,
  );
  addJoin(program, parts);
  addRun(program, parts);
  addOnce(program, parts);
  addStatus(program, parts);
  addPlan(program, parts);
  addList(program, parts);
  addCheck(program, parts);
  addDoctor(program, parts);
  addDiagnostics(program, parts);
  addTimeline(program, parts);
  addPauses(program, parts);
  addApply(program, parts);
  addRestore(program, parts);
  addResolve(program, parts);
  addTools(program, parts);
  return program;
}

const examples = `
Examples:
  pilotfish join pfj1.eyJ…              prove the organisation's root and its first list
  pilotfish plan --diff                 what would change, before it does
  pilotfish run                         follow the list until SIGTERM
  pilotfish doctor                      what is wrong with this host, and what to do
  pilotfish status --why                where the agent is, and every reason of the last decision
  pilotfish probe wm1.example.org       does it answer as a manager does?
  pilotfish resolve wm.example.org      every address, its TTL, and what a failover by DNS would take
  pilotfish render --servers 10.0.0.1,10.0.0.2:1515 ossec.conf --check
  pilotfish restore --original          the server entries as they were before us
  pilotfish pause 2h --reason "network maintenance"

Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 degraded or would change, 4 trust failure;
\`check\` alone speaks Nagios: 0 ok, 1 warning, 2 critical, 3 unknown.
`;

function addJoin(program: Command, { terminal, host }: SidecarParts): void {
  addCommand(program, 'join [token]', 'prove the root that the token pins, and the first list')
    .option(
      '--dns <name>',
      'no publisher: managers from the addresses, or SRV records, of this name',
    )
    .option(
      '--constraints <file>',
      'with --dns: YAML with the hosts, cidrs and ports it may ever name',
    )
    .option('--port <n>', 'with --dns: port of managers where the answer names none', '1514')
    .option('--root <file>', 'root document carried here by hand')
    .option('--list <file>', 'list document carried here by hand')
    .option('--reset', 'forget everything first, another organisation included', false)
    .addHelpText(
      'after',
      '\nNothing is written to the agent. Examples:\n  pilotfish join pfj1.eyJ…\n  pilotfish join pfj1.eyJ… --root 1.json --list list.json   (no network)\n  pilotfish join --dns wazuh.example.org --constraints /etc/pilotfish/constraints.yml',
    )
    .action(async (token: string | undefined, flags: Common & JoinOptions) => {
      const office = await host.open(flags.config);
      const joined = await joinBy(office, token, flags);
      const { trust, memory, news } = joined;
      const value = {
        org: trust.token.org,
        group: trust.audience.group,
        site: trust.audience.site,
        root: { version: trust.newest.root.version, hash: trust.newest.hash },
        list: memory.list && { ...memory.list.position, hash: memory.list.hash },
        freshness: news.freshness,
        warnings: news.warnings,
      };
      show(terminal, flags.json, value, () => joinText(joined));
    });
}

function joinBy(
  office: SidecarOffice,
  token: string | undefined,
  flags: JoinOptions,
): Promise<JoinedHost> {
  const { root: rootFile, list: listFile, reset, dns, constraints } = flags;
  if ((token === undefined) === (dns === undefined)) {
    throw new ConfigError('usage', 'join: give either a token, or --dns and --constraints');
  }
  if (token !== undefined) return office.join({ token, rootFile, listFile, reset });
  if (dns === undefined || constraints === undefined) {
    throw new ConfigError('usage', 'join --dns: --constraints FILE says what DNS may ever name');
  }
  const port = Number(flags.port);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) {
    return office.joinByDns({ dns, constraints, port });
  }
  throw new ConfigError('usage', `--port ${flags.port}: 1 to 65535 expected`);
}

interface JoinOptions {
  readonly dns: string | undefined;
  readonly constraints: string | undefined;
  readonly port: string;
  readonly root: string | undefined;
  readonly list: string | undefined;
  readonly reset: boolean;
}

function addRun(program: Command, { host, stop }: SidecarParts): void {
  addCommand(program, 'run', 'follow the list until SIGTERM; logs to stderr').action(
    async (flags: Common) => (await host.open(flags.config)).run(stop()),
  );
}

function addOnce(program: Command, { terminal, host, outcome }: SidecarParts): void {
  addCommand(program, 'once', 'one whole cycle: poll, probe, decide, act').action(
    async (flags: Common) => {
      const office = await host.open(flags.config);
      const cycle = await office.once();
      const report = reportOf(cycle, office.agentId);
      outcome.exit = exitOfCycle(report);
      show(terminal, flags.json, report, () => onceText(report));
    },
  );
}

function onceText({ step, lastResult, alarms, faults }: StatusReport): string {
  return [
    stepText(step),
    ...(lastResult === undefined ? [] : [resultText(lastResult)]),
    ...faults.map(({ source, error }) => `source ${source}: ${error.code} ${error.message}`),
    ...alarms.map(({ level, text }) => `${level}: ${text}`),
  ].join('\n');
}

/** A broken proof is the worst news, then what could not be done, then what needs a look. */
function exitOfCycle({ faults, lastResult, alarms }: StatusReport): ExitCode {
  const exits = [...faults.map(({ error }) => error.code), lastResult?.reason?.code ?? ''];
  const worst = Math.max(0, ...exits.map(exitOfCode)) as ExitCode;
  if (worst > 0) return worst;
  return alarms.length > 0 ? 3 : 0;
}

function exitOfCode(code: string): ExitCode {
  return listReasons().find((reason) => reason.code === code)?.exit ?? 0;
}

function addStatus(program: Command, { terminal, host, outcome }: SidecarParts): void {
  addCommand(program, 'status', 'where the agent is and what was decided last')
    .option('--why', 'every rule that was asked, and its answer', false)
    .action(async (flags: Common & { readonly why: boolean }) => {
      const status = await currentStatus(await host.open(flags.config));
      outcome.exit = status.alarms.length > 0 ? 3 : 0;
      const options = { why: flags.why, nowMs: host.clock.nowMs() };
      show(terminal, flags.json, status, () => statusText(status, options, terminal));
    });
}

function addPlan(program: Command, { terminal, host, outcome }: SidecarParts): void {
  addCommand(
    program,
    'plan',
    'what the next cycle would do with the list in use; exit 3 if it would change something',
  )
    .option('--diff', 'show the change of ossec.conf', false)
    .action(async (flags: Common & { readonly diff: boolean }) => {
      const office = await host.open(flags.config);
      const { report, diff } = await office.plan();
      const { step, trace } = report.decision;
      outcome.exit = wouldChange(step) ? 3 : 0;
      show(terminal, flags.json, { step, trace, diff }, () =>
        [stepText(step), ...(flags.diff ? [printableLines(diff)] : [])].join('\n'),
      );
    });
}

function wouldChange({ kind }: Step): boolean {
  return kind === 'write' || kind === 'move' || kind === 'switch' || kind === 'restore';
}

function addList(program: Command, { terminal, host }: SidecarParts): void {
  addCommand(program, 'list', "the list in use, in this agent's own order").action(
    async (flags: Common) => {
      const known = await (await host.open(flags.config)).list();
      const { list, hash, ranking, acceptedAtMs } = known.list;
      const value = { ...list, hash, acceptedAtMs, order: ranking.map(({ id }) => id) };
      show(terminal, flags.json, value, () => listText(known, host.clock.nowMs()));
    },
  );
}

function addPauses(program: Command, { terminal, host }: SidecarParts): void {
  addCommand(program, 'pause <duration>', 'do nothing for so long, such as 30m or 2h')
    .requiredOption('--reason <text>', 'why, for whoever looks at status')
    .action(async (text: string, flags: Common & { readonly reason: string }) => {
      const ms = parseDurationMs(text);
      if (ms === undefined || ms > 30 * 86_400_000) {
        throw new ConfigError('usage', `'${text}' is no duration up to 30d, such as 30m or 2h`);
      }
      const pause = { untilMs: host.clock.nowMs() + ms, reason: flags.reason.slice(0, 200) };
      await (await host.open(flags.config)).pause(pause);
      show(
        terminal,
        flags.json,
        pause,
        () => `paused until ${new Date(pause.untilMs).toISOString()}`,
      );
    });
  addCommand(program, 'resume', 'end a pause').action(async (flags: Common) => {
    await (await host.open(flags.config)).pause(undefined);
    show(terminal, flags.json, { resumed: true }, () => 'resumed');
  });
}

function addApply(program: Command, { terminal, host, outcome }: SidecarParts): void {
  addCommand(program, 'apply', 'the root one-shot: apply what an unprivileged sidecar asked for')
    .requiredOption('--spool <dir>', 'where the requests lie')
    .action(async (flags: Common & { readonly spool: string }) => {
      const results = await (await host.open(flags.config)).applySpool(flags.spool);
      const last = results.at(-1);
      if (last !== undefined) outcome.exit = exitOfResult(last);
      show(terminal, flags.json, results, () =>
        results.length === 0 ? 'nothing to apply' : results.map(resultText).join('\n'),
      );
    });
}

function addRestore(program: Command, { terminal, host, outcome }: SidecarParts): void {
  addCommand(program, 'restore', 'put an earlier ossec.conf back')
    .option('--to <n>', 'backup generation; 1 is what stood there before the last write', '1')
    .option('--original', 'only the server entries, as they were before us', false)
    .option('--no-restart', 'leave the running agent alone')
    .option('--package-removal', 'run by the script of a package: its lock is no obstacle', false)
    .addHelpText('after', '\nPause or stop the sidecar first, or it writes the list again.')
    .action(async (flags: Common & RestoreOptions) => {
      const result = await (await host.open(flags.config)).restore(targetOf(flags), {
        restart: flags.restart,
        isPackageRemoval: flags.packageRemoval,
      });
      outcome.exit = exitOfResult(result);
      show(terminal, flags.json, result, () => resultText(result));
    });
}

interface RestoreOptions {
  readonly to: string;
  readonly original: boolean;
  readonly restart: boolean;
  readonly packageRemoval: boolean;
}

function targetOf({ to, original }: RestoreOptions): RestoreTarget {
  if (original) return { kind: 'original' };
  if (/^[1-9]\d?$/.test(to)) return { kind: 'generation', generation: Number(to) };
  throw new ConfigError('usage', `--to ${to}: 1, 2 or 3 expected`);
}

/** An apply that was asked for and not done has failed, whatever its reason. */
function exitOfResult({ outcome, reason }: ApplyResult): ExitCode {
  if (reason === undefined) return outcome === 'refused' ? 1 : 0;
  return exitOfCode(reason.code);
}
