/** `promotion status | rehearse | promote | demote | fence`: the master's role and who may have it. */
import type { Command } from 'commander';
import type { PromotionStatus } from '../promotion/ports.ts';
import type { Rehearsal } from '../promotion/rehearse.ts';
import {
  addCommand,
  audited,
  auditedAtEnd,
  type CommandParts,
  type Common,
} from './publisher-command.ts';
import { paint, printable, renderDuration, show, type Terminal } from './terminal.ts';

export function addPromotion(program: Command, parts: CommandParts): void {
  const promotion = program
    .command('promotion')
    .description("the role of the cluster's master: who has it, and its way to another node")
    .addHelpText('after', help);
  addState(promotion, parts);
  addRehearse(promotion, parts);
  addOrders(promotion, parts);
  addFence(promotion, parts);
}

const help = `
The role moves between nodes of ours that share leader.etcd and cluster.promotion (off by default).
The master renews a lease; when it cannot, it shuts its cluster port and runs hooks.stop before the
lease ends: without a majority of etcd there is no master, agents keep their managers, enrolment
and changes of groups pause. A candidate takes the seat, waits, compares its client.keys with the
record, writes itself there, opens the port, runs hooks.start. Workers of ours follow the record and
refuse a master with an older token. Stock workers dial their <nodes> entry: let it be a virtual IP
that hooks.start moves, or a name of \`zone:\`. Not carried by the cluster: users of the API (rbac.db).

Examples:
  pilotfish-publisher promotion status           who is the master, and why this node is not
  pilotfish-publisher promotion rehearse         what a promotion of this node would do, step by step
  pilotfish-publisher promotion demote           on the master: give the role back (planned)
  pilotfish-publisher promotion promote          on a candidate: take it (mode manual, or planned)
  pilotfish-publisher promotion fence            run hooks.stop and firewall.close now; for
                                                 ExecStopPost= beside WatchdogSec=5 of the unit
`;

function addState(group: Command, { terminal, host, outcome }: CommandParts): void {
  addCommand(group, 'status', 'who has the role, and how this node stands to it')
    .addHelpText('after', '\nExit codes: 0 nothing is wrong, 3 something wants a look.\n')
    .action(async (flags: Common) => {
      const status = await host.promotion.status(flags.dir);
      const wrong = status === undefined ? [notRunning] : troublesOf(status);
      outcome.exit = wrong.length === 0 ? 0 : 3;
      const nowMs = host.clock.nowMs();
      show(terminal, flags.json, { troubles: wrong, status }, () =>
        statusText(terminal, status, wrong, nowMs),
      );
    });
}

const notRunning = 'no node of the cluster runs with this directory';

function troublesOf(status: PromotionStatus): readonly string[] {
  const { engineTrouble, hookTrouble, strays, holder, why, role } = status;
  const stray = strays.map(({ path, keys }) => {
    const names = keys.map(({ id, name, kind }) => `${id} ${name} (${kind})`).join(', ');
    return `keys that only this node gave out as a master: ${names}; add them on the master, then remove ${path}`;
  });
  return [
    ...(engineTrouble === undefined ? [] : [`the engine: ${engineTrouble}`]),
    ...hookTrouble.map((text) => `hook: ${text}`),
    ...stray,
    ...(holder === undefined && role === 'worker' ? [`there is no master: ${why}`] : []),
  ];
}

function statusText(
  terminal: Terminal,
  status: PromotionStatus | undefined,
  wrong: readonly string[],
  nowMs: number,
): string {
  const troubles = wrong.map(
    (text) => `${paint(terminal, 'yellow', 'look')}: ${printable(text)}\n`,
  );
  if (status === undefined) return troubles.join('');
  const { node, role, mode, isCandidate, record, keys, why, greatestToken } = status;
  const lines = [
    `${node} is ${role}, mode ${mode}${isCandidate ? '' : ', no candidate'}: ${why}`,
    ...(record === undefined
      ? ['no master was ever recorded']
      : [
          `master on record: ${record.node} at ${record.address}:${record.port}, token ${record.token}, ` +
            `for ${renderDuration(Math.max(0, nowMs - record.sinceAtMs))}`,
          `keys on record: ${record.keys.count} up to id ${record.keys.greatestId}, ` +
            `generation ${record.keys.generation}`,
          `workers on record: ${workersText(record.workers)}`,
        ]),
    `keys here: ${keys}`,
    `greatest token seen: ${greatestToken}`,
  ];
  return `${troubles.join('')}${lines.map((line) => `${printable(line)}\n`).join('')}`;
}

function workersText(workers: NonNullable<PromotionStatus['record']>['workers']): string {
  const text = workers.map(({ name, follows }) => (follows ? name : `${name} (does not follow)`));
  return text.join(', ') || 'none';
}

function addRehearse(group: Command, { terminal, host, outcome }: CommandParts): void {
  addCommand(group, 'rehearse', 'every step of a promotion of this node, with its result now')
    .addHelpText('after', rehearseHelp)
    .action(async (flags: Common) => {
      const rehearsal = await host.promotion.rehearse(flags.dir);
      outcome.exit = rehearsal.wouldSucceed ? 0 : 3;
      show(terminal, flags.json, rehearsal, () => rehearsalText(terminal, rehearsal));
    });
}

const rehearseHelp = `
Nothing is changed; the master is taken for gone. Exit codes: 0 a promotion of this node would
succeed now, 3 it would not: see the steps that failed.
`;

const colours = { ok: 'green', failed: 'red', note: 'dim', 'not run': 'yellow' } as const;

function rehearsalText(terminal: Terminal, rehearsal: Rehearsal): string {
  const { steps, wouldSucceed, node, seatWithinMs, roleWithinMs } = rehearsal;
  const width = Math.max(...steps.map(({ step }) => step.length));
  const lines = steps.map(({ step, result, text }) => {
    const shown = paint(terminal, colours[result], result.padEnd(7));
    return `${shown}  ${step.padEnd(width)}  ${printable(text)}\n`;
  });
  const times = `the seat within ${renderDuration(seatWithinMs)} of the loss, enrolment ${renderDuration(roleWithinMs)} later`;
  const verdict = wouldSucceed
    ? `${node} would become the master: ${times}\n`
    : `${node} would not become the master\n`;
  return `${lines.join('')}${verdict}`;
}

function addOrders(group: Command, parts: CommandParts): void {
  const orders = [
    ['promote', 'make this node the master once the seat is free; waits for the outcome'],
    ['demote', 'on the master: shut the port, run hooks.stop, give the role back'],
  ] as const;
  for (const [kind, summary] of orders) {
    const command = addCommand(group, kind, summary).addHelpText('after', orderHelp[kind]);
    if (kind === 'promote') {
      command.option('--force', 'also when keys of agents are missing here: they are lost', false);
    }
    command.action((flags: Common & { readonly force?: boolean }) =>
      giveOrder(parts, flags, kind, flags.force === true),
    );
  }
}

const orderHelp = {
  promote: `
Outranks mode, minInterval and client.keys that are behind (--force), never the seat: while another
node renews its lease there is nothing to take. Exit codes: 0 it is the master, 1 refused.
`,
  demote: `
In mode automatic a candidate takes over; this node does not within cluster.promotion.minInterval,
unless \`promotion promote\` says so. Exit codes: 0 done, 1 refused.
`,
} as const;

async function giveOrder(
  parts: CommandParts,
  flags: Common,
  kind: 'promote' | 'demote',
  force: boolean,
): Promise<void> {
  const { terminal, host } = parts;
  const action = `promotion ${kind}${force ? ' --force' : ''}`;
  const answer = await audited(parts, flags.dir, action, () =>
    host.promotion.order(flags.dir, kind, force),
  );
  show(terminal, flags.json, answer, () => `${answer.outcome}: ${printable(answer.text)}\n`);
}

function addFence(group: Command, parts: CommandParts): void {
  const { terminal, host, outcome } = parts;
  addCommand(group, 'fence', 'run hooks.stop and firewall.close here, now')
    .addHelpText('after', fenceHelp)
    .action(async (flags: Common) => {
      const fence = () => host.promotion.fence(flags.dir);
      const wrong = await auditedAtEnd(parts, flags.dir, 'promotion fence', fence);
      outcome.exit = wrong.length === 0 ? 0 : 1;
      const text = wrong.length === 0 ? 'done\n' : wrong.map((one) => `failed: ${one}\n`).join('');
      show(terminal, flags.json, { wrong }, () => printable(text.trimEnd()));
    });
}

const fenceHelp = `
For a host whose node is gone and whose authd may live on: as ExecStopPost= of the unit, with
WatchdogSec=5, it is a fence also for a node that hangs or is killed. On a master that runs it
leaves the node the master without its daemons: use \`demote\` there.
`;
