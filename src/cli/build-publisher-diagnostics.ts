/** What goes into the publisher's diagnostics bundle, and which secrets are taken out of it. */
import { join, resolve } from 'node:path';
import { makeBundle, type Part } from '../diagnosis/bundle.ts';
import { renderEventLine } from '../diagnosis/event-line.ts';
import { buildRedactor } from '../diagnosis/redact.ts';
import {
  listFolder,
  readText,
  readUnitLog,
  secretsOfClientKeys,
  secretsOfFile,
  systemFacts,
} from '../host/diagnostic-facts.ts';
import { readJournal } from '../host/event-journal.ts';
import { openPublisherFolder } from '../host/publisher-folder.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import { listOf } from '../publisher/publish.ts';
import { editionOfHome } from './build-cluster-host.ts';
import { examinePublisher } from './build-publisher-doctor.ts';
import { openOffice, readConfig } from './build-publisher-office.ts';
import { defaultClusterSection, readNodeConfig } from './cluster-config.ts';
import type { PublisherConfig } from './publisher-config.ts';
import type { PublisherOffice } from './publisher-host.ts';

/** Throws ConfigError when the configuration cannot be read: then there is nothing to look at. */
export async function diagnosePublisher(
  directory: string,
  version: string,
  folder: string,
): Promise<Buffer> {
  const path = resolve(directory);
  const config = await readConfig(openPublisherFolder(path));
  const doctor = await examinePublisher(path, version);
  const redactor = buildRedactor(await secretsOf(path, config));
  const parts: readonly Part[] = [
    { name: 'doctor.json', content: doctor },
    { name: 'publisher.yml', content: await readText(join(path, 'publisher.yml')) },
    { name: 'system.json', content: { publisher: version, ...systemFacts() } },
    { name: 'files.json', content: await listFolder(path) },
    {
      name: 'events.json',
      content: (await readJournal(path)).map(renderEventLine).join(''),
      keep: 'tail',
    },
    {
      name: 'publisher.log',
      content: await readUnitLog('pilotfish-publisher.service'),
      keep: 'tail',
    },
    ...(await officeParts(path)),
  ];
  return makeBundle(folder, parts, redactor, clock.nowMs());
}

/** Keys as files, keys of agents, the cluster's key, keys of name servers, what etcd asks for. */
async function secretsOf(path: string, config: PublisherConfig): Promise<readonly string[]> {
  const { files, reports, zone, leader, export: exported } = config;
  const rootKeys = await openPublisherFolder(path).list('root-keys');
  const paths = [
    files.listKey,
    `${files.listKey}.next`,
    files.authorityKey,
    files.server,
    ...rootKeys.map((name) => join('root-keys', name)),
    ...[zone?.update?.keyFile, leader.etcd?.key, leader.etcd?.passwordFile],
    ...exported.certificates.map(({ file }) => file),
  ].filter((name) => name !== undefined);
  const found = await Promise.all([
    ...paths.map((name) => secretsOfFile(resolve(path, name))),
    secretsOfClientKeys(resolve(path, reports.keys)),
    secretsOfFile(join(config.cluster?.home ?? defaultClusterSection.home, 'etc/authd.pass')),
    clusterSecrets(config),
  ]);
  return found.flat();
}

async function clusterSecrets({ cluster }: PublisherConfig): Promise<readonly string[]> {
  const section = cluster ?? defaultClusterSection;
  try {
    const edition = await editionOfHome(section);
    const path = section.config ?? join(section.home, edition.config);
    const text = await readText(path);
    return [readNodeConfig(section, { path, text }, [], edition).config.key];
  } catch {
    // A block that stock refuses may hold a key all the same.
    return section.node === undefined ? [] : [section.node.key];
  }
}

const maxVersions = 50;
const maxAgents = 500;
const maxEvents = 1_000;

/** What needs keys, roots and history to be whole. */
async function officeParts(path: string): Promise<readonly Part[]> {
  let office: PublisherOffice;
  try {
    office = await openOffice(path);
  } catch {
    return []; // doctor.json says why
  }
  try {
    const { history, roots, config } = office;
    const newest = history.newest();
    const versions = history
      .list(maxVersions)
      .map(({ envelope: _, content: __, ...entry }) => entry);
    const reports = config.reports.enabled
      ? office.withReports((store) => ({
          agents: store.rows().slice(0, maxAgents),
          events: store.recent(0, maxEvents),
        }))
      : undefined;
    return [
      { name: 'root.json', content: roots.newest.root },
      { name: 'list.json', content: newest === undefined ? undefined : listOf(newest) },
      { name: 'history.json', content: versions },
      { name: 'agents.json', content: reports?.agents },
      { name: 'agent-events.json', content: reports?.events },
    ];
  } finally {
    office.close();
  }
}
