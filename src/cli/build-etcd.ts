/** etcd as `leader.etcd` of publisher.yml names it. */
import { resolve } from 'node:path';
import { ConfigError } from '../errors.ts';
import { buildEtcdDoor, type ClosableDoor } from '../host/etcd-door.ts';
import { openPublisherFolder } from '../host/publisher-folder.ts';
import { readBounded } from '../host/read-bounded.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import { EtcdClient } from '../leader/etcd/client.ts';
import type { LeaderConfig } from './leader-config.ts';
import type { PublisherConfig } from './publisher-config.ts';

const maxFileBytes = 64 * 1024;

export type EtcdSection = NonNullable<LeaderConfig['etcd']>;

export interface OpenedEtcd {
  readonly section: EtcdSection;
  readonly client: EtcdClient;
  readonly door: ClosableDoor;
  /** Ends in a slash. */
  readonly prefix: string;
}

/** Throws ConfigError for a section or files that cannot be read. */
export async function openEtcdClient(
  directory: string,
  { leader, org }: Pick<PublisherConfig, 'leader' | 'org'>,
): Promise<OpenedEtcd> {
  const { etcd: section, ttl } = leader;
  if (section === undefined) throw new ConfigError('config_invalid', 'leader.etcd is missing');
  const { ca, cert, key, user, passwordFile, endpoints } = section;
  const door = buildEtcdDoor({
    ...(ca === undefined ? {} : { ca: await requirePublic(directory, ca) }),
    ...(cert === undefined ? {} : { cert: await requirePublic(directory, cert) }),
    ...(key === undefined ? {} : { key: await requireSecret(directory, key) }),
  });
  const password = async (file: string) => (await requireSecret(directory, file)).trim();
  const account =
    user === undefined || passwordFile === undefined
      ? {}
      : { account: { user, password: () => password(passwordFile) } };
  // One endpoint that is gone costs a try, not the lease.
  const tryMs = Math.max(500, ttl / 10);
  const limitMs = Math.max(1_000, ttl / 4);
  const client = new EtcdClient({ door, clock, endpoints, ...account, tryMs, limitMs });
  return { section, client, door, prefix: section.prefix ?? `/pilotfish/${org}/` };
}

/** Certificates may be read by everybody, whatever their files are called. */
async function requirePublic(directory: string, file: string): Promise<string> {
  const path = resolve(directory, file);
  const bytes = await readBounded(path, maxFileBytes + 1);
  if (bytes === undefined) {
    throw new ConfigError('config_unreadable', `${path} does not exist, or may not be read`);
  }
  return checkSize(path, bytes.toString('utf8'));
}

async function requireSecret(directory: string, file: string): Promise<string> {
  const path = resolve(directory, file);
  const text = await openPublisherFolder(directory).read(file);
  if (text === undefined) throw new ConfigError('config_unreadable', `${path} does not exist`);
  return checkSize(path, text);
}

function checkSize(path: string, text: string): string {
  if (text.length <= maxFileBytes) return text;
  throw new ConfigError('config_unreadable', `${path} is larger than ${maxFileBytes} bytes`);
}
