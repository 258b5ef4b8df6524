/** `simulate --down NODE`, `simulate --add NODE`: who would go where, before it happens. */
import type { Command } from 'commander';
import { ConfigError } from '../errors.ts';
import type { Manager, ManagerList } from '../list/model.ts';
import { listOf } from '../publisher/publish.ts';
import { type Forecast, forecast, type KnownAgent } from '../simulation/what-if.ts';
import { nearestOf } from './nearest.ts';
import {
  addCommand,
  type CommandParts,
  type Common,
  readNumber,
  withOffice,
} from './publisher-command.ts';
import type { PublisherOffice } from './publisher-host.ts';
import { renderTable, show } from './terminal.ts';

interface Words {
  readonly down: readonly string[];
  readonly add: readonly string[];
  readonly agents?: string;
  readonly zone?: string;
  readonly weight: string;
}

const maxAgents = 1_000_000;
/** Enough for shares to a per cent where nobody says how many agents there are. */
const assumedAgents = 10_000;

export function addSimulate(program: Command, { terminal, host }: CommandParts): void {
  addCommand(program, 'simulate', 'who would go where if a manager died, or joined')
    .option('--down <node...>', 'managers that die, ids as in `nodes`', [])
    .option('--add <node...>', 'ids of managers that join', [])
    .option('--zone <zone>', 'zone of the added managers')
    .option('--weight <n>', 'weight of the added managers', '100')
    .option('--agents <n>', 'this many invented agents instead of those that report')
    .addHelpText('after', simulateHelp)
    .action((flags: Common & Words) =>
      withOffice(host, flags.dir, async (office) => {
        const list = newestList(office);
        const change = { down: flags.down, added: flags.add.map((id) => addedOf(list, flags, id)) };
        if (change.down.length + change.added.length === 0) {
          throw new ConfigError('usage', 'simulate: name a manager with --down or --add');
        }
        for (const id of flags.down) requireListed(list, id);
        const { agents, source } = agentsOf(office, list, flags.agents);
        const seen = forecast({ ...list, client: clientOf(list, agents) }, agents, change);
        show(terminal, flags.json, { version: list.version, source, ...change, ...seen }, () =>
          textOf(seen, { version: list.version, source, ...change }),
        );
      }),
    );
}

const simulateHelp = `
Nothing is published and nobody is moved: the list published last is ranked as every sidecar ranks
it. Agents are those that report; without reports, as many as list.agents says (or 10 000) are
invented, numbered from 001.
Examples:
  simulate --down wm1                 simulate --down wm1 --down wm2 --json
  simulate --add wm9 --weight 50      simulate --down wm1 --agents 40000
`;

/** Throws ConfigError `unknown_version` while nothing was published. */
function newestList({ history }: PublisherOffice): ManagerList {
  const newest = history.newest();
  if (newest !== undefined) return listOf(newest);
  throw new ConfigError('unknown_version', 'nothing was published yet');
}

/** Throws ConfigError `unknown_manager`. */
function requireListed({ managers }: ManagerList, id: string): void {
  const known = managers.map((manager) => manager.id);
  if (known.includes(id)) return;
  const near = nearestOf(id, known);
  const hint = near === undefined ? `known: ${known.join(', ')}` : `did you mean ${near}?`;
  throw new ConfigError('unknown_manager', `no manager ${JSON.stringify(id)}; ${hint}`);
}

/** Throws ConfigError `usage`. */
function addedOf({ managers }: ManagerList, { zone, weight }: Words, id: string): Manager {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(id)) {
    throw new ConfigError('usage', `--add ${id}: expected 1 to 64 of A-Z a-z 0-9 . _ -`);
  }
  if (managers.some((manager) => manager.id === id)) {
    throw new ConfigError('usage', `--add ${id}: the list names it already`);
  }
  const [first] = managers;
  return {
    id,
    address: id,
    port: first?.port ?? 1514,
    protocol: first?.protocol ?? 'tcp',
    zone: zone ?? first?.zone ?? '',
    prio: Math.min(...managers.map(({ prio }) => prio)),
    weight: readNumber('--weight', weight, 1_000),
    state: 'up',
  };
}

interface Population {
  readonly agents: readonly KnownAgent[];
  readonly source: string;
}

function agentsOf(
  office: PublisherOffice,
  list: ManagerList,
  wanted: string | undefined,
): Population {
  if (wanted !== undefined) return invent(readNumber('--agents', wanted, maxAgents));
  const reported = office.withReports((store) =>
    [...store.rows()].map(({ report: { place, zone, manager } }) => ({ place, zone, on: manager })),
  );
  if (reported.length > 0) return { agents: reported, source: `${reported.length} that report` };
  return invent(list.client.agents > 0 ? Math.min(maxAgents, list.client.agents) : assumedAgents);
}

function invent(count: number): Population {
  const agents = Array.from({ length: count }, (_, number) => ({
    place: String(number + 1).padStart(3, '0'),
  }));
  return { agents, source: `${count} invented` };
}

/** Slots follow from the number of agents. */
function clientOf({ client }: ManagerList, agents: readonly KnownAgent[]): ManagerList['client'] {
  return { ...client, agents: Math.max(client.agents, agents.length) };
}

interface Asked {
  readonly version: number;
  readonly source: string;
  readonly down: readonly string[];
  readonly added: readonly Manager[];
}

function textOf(seen: Forecast, { version, source, down, added }: Asked): string {
  const what = [
    ...(down.length === 0 ? [] : [`${down.join(', ')} down`]),
    ...(added.length === 0 ? [] : [`${added.map(({ id }) => id).join(', ')} added`]),
  ].join(', ');
  const share = (count: number): string =>
    `${((100 * count) / Math.max(1, seen.agents)).toFixed(1)} %`;
  const rows = seen.managers.map(({ id, before, after, leaves, comes }) => [
    id,
    before,
    after,
    leaves === 0 ? '' : `-${leaves}`,
    comes === 0 ? '' : `+${comes}`,
    share(after),
  ]);
  const moves = seen.moves.map(({ from, to, agents }) => [from, to, agents]);
  const times = Object.entries(seen.leaveSec).map(
    ([id, sec]) => `leaving ${id} takes ${sec} s of slots, after it was noticed\n`,
  );
  return [
    `list ${version}, ${source}: ${what}\n\n`,
    renderTable(['manager', 'now', 'then', 'leave', 'come', 'share'], rows),
    `\n${seen.moved} of ${seen.agents} agents move (${share(seen.moved)})\n`,
    ...(seen.stranded === 0 ? [] : [`${seen.stranded} agents have nowhere to go\n`]),
    ...(added.length === 0 ? [] : [`${seen.drawn} would rather be on an added manager\n`]),
    ...times,
    ...(moves.length === 0 ? [] : [`\n${renderTable(['from', 'to', 'agents'], moves)}`]),
  ].join('');
}
