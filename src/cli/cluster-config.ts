/** `cluster:` of publisher.yml: where the manager's home is, or the node's options themselves. */
import * as z from 'zod';
import { defaultDaemons } from '../cluster/calls/daemon-request.ts';
import { clusterConfigOf, type ReadConfig } from '../cluster/config.ts';
import { ConfigError } from '../errors.ts';
import { parseAddress } from '../list/address.ts';
import { isCidr } from '../list/cidr.ts';

import { type BlockValue, readClusterBlock } from '../wazuh/manager-cluster-block.ts';
import type { ManagerEdition } from '../wazuh/manager-edition.ts';
import { isVersion } from '../wazuh/manager-version.ts';
import { duration } from './config-file.ts';
import { promotionSection } from './promotion-config.ts';

const whole = (min: number, max: number) => z.number().int().min(min).max(max);

const zoneName = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 of A-Z a-z 0-9 _ -')
  .describe('zone of the agents that dial it');
const port = whole(1, 65_535).optional().describe('unset: the port of the manager');
const expected = 'expected a host name, IPv4 or IPv6 address';
const isAddress = (text: string): boolean => parseAddress(text) !== undefined;

const node = z.strictObject({
  type: z.enum(['master', 'worker']).default('master').describe('role of this node'),
  name: z.string().describe('name of this node: 1 to 64 of A-Z a-z 0-9 _ -'),
  cluster: z.string().default('wazuh').describe('name of the cluster'),
  key: z.string().describe('the 32 characters all nodes share'),
  port: whole(1025, 65_534).default(1516).describe('port of the master'),
  bindAddress: z.string().default('0.0.0.0').describe('where a master listens'),
  master: z.string().describe('address of the master'),
});

export const clusterSection = z
  .strictObject({
    home: z.string().min(1).default('/var/ossec').describe('home of the Wazuh manager'),
    config: z
      .string()
      .min(1)
      .optional()
      .describe('file with the <cluster> block; unset: etc/ossec.conf, of 5.0 wazuh-manager.conf'),
    node: node.optional().describe('the options themselves, instead of that file'),
    version: z
      .string()
      .refine(isVersion, 'expected a version such as 4.14.8')
      .optional()
      .describe('version of Wazuh to show; unset: VERSION.json of home'),
    clusterJson: z
      .string()
      .min(1)
      .optional()
      .describe('file laid over the defaults of cluster.json; relative to --dir'),
    peers: z
      .enum(['any', 'ours'])
      .default('any')
      .describe('any: stock nodes too; ours: nobody else'),
    database: z
      .enum(['auto', 'wazuh-db', 'embedded', 'none'])
      .default('auto')
      .describe(
        'agents and groups: wazuh-db of home, our own file with the same sockets, nothing; ' +
          'auto: wazuh-db where it is installed or answers, else our own',
      ),
    user: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_-]{0,31}$/, 'expected the name of a user')
      .optional()
      .describe('owner of synchronised files, when run by root; unset: wazuh, wazuh-manager'),
    daemons: z
      .array(z.enum(['authd', 'remoted', 'task-manager', 'wazuh-db']))
      .default([...defaultDaemons])
      .describe('daemons of a master that programs on its workers may ask'),
    maxConnectionsPerAddress: whole(1, 10_000)
      .default(10)
      .describe('of one address to a master; raise it for workers behind NAT'),
    lameDuck: duration(
      '0s',
      { min: '0s', max: '10m' },
      'a worker that is told to stop tells its master, which takes its manager out of the list, and ' +
        'goes on for so long: its agents move in slots before it is gone',
    ),
    advertise: z
      .strictObject({
        addresses: z
          .array(
            z.strictObject({
              zone: zoneName,
              address: z.string().refine(isAddress, expected),
              port,
            }),
          )
          .max(8)
          .default([])
          .describe('as they are'),
        networks: z
          .array(
            z.strictObject({
              zone: zoneName,
              network: z.string().refine(isCidr, 'expected a network, such as 10.1.0.0/16'),
              port,
            }),
          )
          .max(8)
          .default([])
          .describe(
            'the one address that an interface of this host has there; bridges and tunnels never',
          ),
        labels: z
          .string()
          .min(1)
          .optional()
          .describe(
            'file with lines address.pilotfish/ZONE="HOST[:PORT]", as the Kubernetes downward API writes',
          ),
      })
      .optional()
      .describe(
        'where agents of other zones reach the manager of this host: told to the master, whose publisher ' +
          'takes it with roster.hearNodes',
      ),
    promotion: promotionSection.prefault({}),
    debug: whole(0, 2).default(0).describe('1: DEBUG lines in cluster.log, 2: DEBUG2 too'),
  })
  .describe('run a node of the Wazuh server cluster');

export type ClusterSection = z.output<typeof clusterSection>;

export const defaultClusterSection: ClusterSection = clusterSection.parse({});

/** Stock block of this edition or our own options, through the same checks. Throws `ConfigError`. */
export function readNodeConfig(
  section: ClusterSection,
  file: { readonly path: string; readonly text: string | undefined },
  ownAddresses: readonly string[],
  { cluster, configRoot }: Pick<ManagerEdition, 'cluster' | 'configRoot'>,
): ReadConfig {
  if (section.node !== undefined) {
    return clusterConfigOf({ options: optionsOf(section.node), count: 1 }, ownAddresses, cluster);
  }
  if (file.text === undefined) {
    throw new ConfigError('config_unreadable', `${file.path}: cannot be read`);
  }
  const block = readClusterBlock(file.text, file.path, configRoot);
  return clusterConfigOf(block, ownAddresses, cluster);
}

function optionsOf(value: z.output<typeof node>): Readonly<Record<string, BlockValue>> {
  return {
    disabled: 'no',
    node_type: value.type,
    node_name: value.name,
    name: value.cluster,
    key: value.key,
    port: String(value.port),
    bind_addr: value.bindAddress,
    nodes: [value.master],
  };
}
