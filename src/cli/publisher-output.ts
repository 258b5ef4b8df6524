/** What the publisher's commands print, as text for people and as values for `--json`. */
import { failureTexts, type ProbeOutcome } from '../health/probe.ts';
import type { Root } from '../list/model.ts';
import { type Content, describeChange, listedManagers } from '../publisher/content.ts';
import { listExpiresAtMs, type PublishedList } from '../publisher/history.ts';
import type { InitOutcome, InitRequest } from '../publisher/init.ts';
import type { PublishOutcome } from '../publisher/publish.ts';
import { printable, renderTable } from './terminal.ts';

export interface Printed {
  readonly value: unknown;
  readonly text: string;
}

export function initText(outcome: InitOutcome, request: InitRequest, directory: string): string {
  const files = outcome.files.map((name) => `  ${directory}/${name}\n`).join('');
  if (outcome.kind === 'exists') {
    return `${directory} is already initialised exactly so; nothing was changed\n${files}`;
  }
  const head = outcome.kind === 'resumed' ? 'an interrupted init was started over\n' : '';
  const keys =
    request.rootKeys === 1
      ? `keep ${directory}/root-keys/root-1.jwk offline once the fleet has joined\n`
      : `carry each file of ${directory}/root-keys to a holder of its own, then delete it here\n`;
  const dir = ` --dir ${directory}`;
  return `${head}made for ${request.org}:\n${files}${keys}next:
  pilotfish-publisher run${dir}
  pilotfish-publisher token${dir}      then on each agent host: pilotfish join TOKEN\n`;
}

export function rootText(root: Root, isRunning: boolean): Printed {
  const { hosts, cidrs, ports } = root.constraints;
  const expires = new Date(root.expiresAtMs).toISOString();
  const value = { version: root.version, expires, constraints: root.constraints, isRunning };
  const where = isRunning
    ? 'the running publisher follows it\n'
    : 'no publisher answered: one that runs here follows it within a second, else the next `run`\n';
  const allowed = `  hosts ${[...hosts, ...cidrs].join(', ')}\n  ports ${ports.join(', ')}\n`;
  return { value, text: `root ${root.version}, good until ${expires}\n${allowed}${where}` };
}

/** Agents are not counted yet: that needs a live roster. */
export function nodesTable(content: Content, outcomes: readonly ProbeOutcome[]): Printed {
  const nodes = listedManagers(content).map((manager, index) => {
    const outcome = outcomes[index];
    return {
      ...manager,
      probe: outcome === undefined ? 'unknown' : describeProbe(outcome),
      isAlive: outcome?.kind === 'alive',
      latencyMs: outcome?.kind === 'alive' ? Math.round(outcome.tookMs * 10) / 10 : undefined,
      agents: undefined,
    };
  });
  const header = ['id', 'address', 'state', 'probe', 'latency', 'weight', 'prio', 'zone', 'agents'];
  const rows = nodes.map((node) => [
    node.id,
    node.address.includes(':') ? `[${node.address}]:${node.port}` : `${node.address}:${node.port}`,
    node.state,
    node.probe,
    node.latencyMs === undefined ? undefined : `${node.latencyMs} ms`,
    node.weight,
    node.prio,
    node.zone,
    'n/a',
  ]);
  const zones = nodes.flatMap(({ id, port: own, addresses = [] }) =>
    addresses.map(
      ({ zone, address, port = own }) => `${id} in zone ${zone}: ${address} port ${port}\n`,
    ),
  );
  return { value: { nodes }, text: `${renderTable(header, rows)}${zones.join('')}` };
}

function describeProbe(outcome: ProbeOutcome): string {
  return outcome.kind === 'alive' ? 'up' : `down: ${failureTexts[outcome.failure]}`;
}

export interface PublishFacts {
  readonly isDryRun: boolean;
  /** What the running publisher said; undefined when none runs. */
  readonly servedBy: string | undefined;
}

export function outcomeJson(outcome: PublishOutcome, facts: PublishFacts): unknown {
  const { entry } = outcome;
  const isPublished = outcome.kind === 'published';
  return {
    outcome: isPublished && facts.isDryRun ? 'would publish' : outcome.kind,
    ...entryJson(entry),
    changes: isPublished ? describeChange(outcome.before?.content, entry.content) : [],
    served: facts.servedBy !== undefined,
  };
}

export function outcomeText(outcome: PublishOutcome, facts: PublishFacts): string {
  const { version } = outcome.entry;
  if (outcome.kind === 'unchanged') {
    return `nothing to publish: version ${version} already says this\n`;
  }
  const before = outcome.before === undefined ? '' : ` (was ${outcome.before.version})`;
  const changes = describeChange(outcome.before?.content, outcome.entry.content)
    .map((line) => `  ${printable(line)}\n`)
    .join('');
  if (facts.isDryRun) return `would publish version ${version}${before}\n${changes}`;
  const served =
    facts.servedBy === undefined
      ? 'no publisher answered: one that runs here serves it within a second, else the next `run`\n'
      : 'the running publisher serves it\n';
  return `published version ${version}${before}\n${changes}${served}`;
}

export function historyTable(entries: readonly PublishedList[]): Printed {
  const header = ['version', 'issued', 'reason', 'managers', 'expires', 'root', 'hash'];
  const rows = entries.map((entry) => [
    entry.version,
    instantText(entry.issuedAtMs),
    entry.detail === '' ? entry.reason : `${entry.reason} ${entry.detail}`,
    countStates(entry.content),
    instantText(listExpiresAtMs(entry)),
    entry.rootVersion,
    entry.hash.slice('sha256:'.length, 'sha256:'.length + 12),
  ]);
  return { value: { history: entries.map(entryJson) }, text: renderTable(header, rows) };
}

/** `3 up, 1 drain` */
function countStates(content: Content): string {
  const states = listedManagers(content).map((manager) => manager.state);
  return (['up', 'drain', 'down'] as const)
    .map((state) => ({ state, count: states.filter((one) => one === state).length }))
    .filter(({ count }) => count > 0)
    .map(({ state, count }) => `${count} ${state}`)
    .join(', ');
}

function entryJson(entry: PublishedList): object {
  const { epoch, term, version, reason, detail, hash, prev, rootVersion, issuedAtMs } = entry;
  return {
    ...{ epoch, term, version, reason, detail, hash, prev, rootVersion },
    issued: new Date(issuedAtMs).toISOString(),
    expires: new Date(listExpiresAtMs(entry)).toISOString(),
    managers: listedManagers(entry.content),
  };
}

function instantText(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 19).replace('T', ' ');
}
