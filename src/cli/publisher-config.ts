/** publisher.yml: one schema gives defaults, limits and the reference in `--help`. */
import * as z from 'zod';
import { tuningBounds } from '../agent-config/wish.ts';
import { ConfigError } from '../errors.ts';
import { isCidr } from '../list/cidr.ts';
import { present } from '../list/members.ts';
import { listLimits } from '../list/model.ts';
import { clientDefaults } from '../list/parse-list.ts';
import type { ConnectionLimits } from '../publisher/connection-ledger.ts';
import type { ConfiguredContent } from '../publisher/content.ts';
import { clusterSection } from './cluster-config.ts';
import { duration, parseConfig } from './config-file.ts';
import { eventsSection } from './events-config.ts';
import { type FollowConfig, followSection, readFollow } from './follow-config.ts';
import { checkLeader, leaderSection } from './leader-config.ts';
import { advertisedOf, dialled, id, managersSection } from './managers-config.ts';
import { checkPromotion } from './promotion-config.ts';
import { balancersSection, zoneSection } from './publisher-edges-config.ts';
import { rolloutSection, wavesFault } from './rollout-config.ts';
import { rosterSection } from './roster-config.ts';

const scope = (text: string) =>
  z
    .string()
    .regex(/^(?:\*|[A-Za-z0-9_-]{1,64})$/, 'expected * or 1 to 64 of A-Z a-z 0-9 _ -')
    .default('*')
    .describe(text);
const whole = (min: number, max: number) => z.number().int().min(min).max(max);
/** Every agent's editor keeps to these bounds: what it would refuse is not signed. */
const tuning = ([min, max]: readonly [number, number], text: string) =>
  whole(min, max).optional().describe(text);
const day = 86_400;

const list = z.strictObject({
  validFor: duration(
    '24h',
    { min: '1m', max: '3650d' },
    'how long a version is believed without a receipt; the root sets the most',
  ),
  resignEvery: duration('3h', { min: '1s', max: '365d' }, 'age at which a version is signed anew'),
  group: scope('agents of this group only; * is every group'),
  site: scope('agents of this site only; * is every site'),
  pollSec: whole(1, day).default(clientDefaults.pollSec).describe('seconds between two polls'),
  spreadSec: whole(0, day)
    .default(clientDefaults.spreadSec)
    .describe('seconds over which agents spread a change, where their number is unknown'),
  cooldownSec: whole(0, day)
    .default(clientDefaults.cooldownSec)
    .describe('least seconds between two moves of choice'),
  panicPct: whole(0, 100)
    .default(clientDefaults.panicPct)
    .describe('above this share of dead managers a sidecar doubts itself'),
  agents: whole(0, 10_000_000)
    .default(clientDefaults.agents)
    .describe('how many agents share the managers; spaces probes and moves. 0: those that report'),
  acceptRate: whole(1, listLimits.maxAcceptRate)
    .default(100)
    .describe(
      'new sessions a second that one manager takes in; agents move in slots below it, slower where one manager holds more than its share',
    ),
  balancers: z
    .array(
      z.strictObject({
        address: dialled('where a load balancer listens for agents, as their ossec.conf has it'),
        port: whole(1, 65_535).default(1514).describe('its port'),
      }),
    )
    .max(listLimits.maxBalancers)
    .default([])
    .describe('agents whose first server is one of these stay behind it'),
  probeBudgetPerManager: whole(1, 100_000)
    .default(clientDefaults.probeBudgetPerManager)
    .describe('probes a second that one manager may get'),
  maxRetries: tuning(tuningBounds.maxRetries, "the agent's max_retries; unset leaves it alone"),
  retryInterval: tuning(tuningBounds.retryInterval, "the agent's retry_interval, seconds"),
  notifyTime: tuning(tuningBounds.notifyTime, "the agent's notify_time, seconds"),
  timeReconnect: tuning(tuningBounds.timeReconnect, "the agent's time-reconnect, seconds"),
});

const limits = z.strictObject({
  maxConnections: whole(1, 100_000).default(4_096).describe('connections that do not wait'),
  maxConnectionsPerIp: whole(1, 100_000).default(64).describe('of them from one address'),
  maxConnectionsPerNetwork: whole(1, 100_000)
    .default(512)
    .describe('of them from one IPv4 /24 or IPv6 /48'),
  maxHandshakesPerSecond: whole(1, 100_000)
    .default(200)
    .describe('new connections a second; above it who was served lately comes first'),
  maxLongPolls: whole(1, 100_000).default(20_000).describe('requests that wait for a change'),
  maxLongPollsPerIp: whole(1, 100_000)
    .default(1_000)
    .describe('of them from one address; raise it behind NAT'),
  maxRequestsPerSocket: whole(1, 10_000).default(20).describe('requests on one connection'),
  maxReceiptsPerSecond: whole(1, 100_000)
    .default(10_000)
    .describe('freshness receipts signed a second; above it answers go without'),
});

export const publisherSchema = z.strictObject({
  org: id('the organisation, as in the root'),
  listen: z
    .string()
    .regex(/^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/, 'expected HOST:PORT or [IPV6]:PORT')
    .default('0.0.0.0:8443')
    .describe('where to listen'),
  managers: managersSection,
  follow: followSection
    .optional()
    .describe('serve what another publisher signs; nothing is signed here'),
  list: list.prefault({}),
  probe: z
    .strictObject({
      interval: duration(
        '10s',
        { min: '100ms', max: '1h' },
        'time between two looks at a manager; with a roster or a zone at most 1s',
      ),
      deadline: duration('800ms', { min: '50ms', max: '30s' }, 'time a manager has to answer'),
    })
    .prefault({}),
  leader: leaderSection.prefault({}).describe('which of several publishers signs and rolls out'),
  rollout: rolloutSection.prefault({}),
  roster: rosterSection.prefault({}),
  balance: z
    .strictObject({
      enabled: z
        .boolean()
        .default(false)
        .describe('ask surplus agents of a manager that holds too many to go home'),
      skewPct: whole(1, 1_000).default(20).describe('so much above its share is too many'),
      after: duration('15m', { min: '1s', max: '7d' }, 'how long it must have held them'),
      followLoad: z
        .boolean()
        .default(false)
        .describe(
          'a manager whose host is much busier than the others for `after` gets less of its weight: ' +
            'ten per cent a step, down to half, back after twice as long; heard of hosts with a ' +
            'publisher and `roster.local`; connected agents stay',
        ),
    })
    .prefault({}),
  reports: z
    .strictObject({
      enabled: z.boolean().default(true).describe('take reports of sidecars'),
      keys: z
        .string()
        .min(1)
        .default('/var/ossec/etc/client.keys')
        .describe("the agents' keys, by which reports are proven"),
      interval: duration(
        '5m',
        { min: '10s', max: '1h' },
        'least time between two reports of an agent while nothing changes',
      ),
      keep: duration('30d', { min: '1h', max: '365d' }, 'how long reports are kept'),
      maxPerSecond: whole(1, 100_000).default(2_000).describe('reports taken a second'),
    })
    .prefault({}),
  files: z
    .strictObject({
      listKey: file('list-key.jwk', 'private key that signs lists and receipts'),
      roots: file('roots', 'directory of root documents, 1.json, 2.json …'),
      history: file('history.db', 'published versions (SQLite)'),
      reports: file('reports.db', 'what agents reported (SQLite)'),
      authority: file('ca.crt', 'certificate of the private authority'),
      authorityKey: file('ca.key', 'its key; renews the server certificate'),
      tokens: file('api-tokens.json', 'who may use the API, as hashes'),
      audit: file('audit.db', 'who did what (SQLite)'),
      server: file('server.pem', 'server certificate and key, renewed while running'),
    })
    .prefault({}),
  limits: limits.prefault({}),
  cluster: clusterSection.optional(),
  shared: z
    .strictObject({
      home: z.string().min(1).default('/var/ossec').describe('home of the master of the cluster'),
      groups: z
        .array(
          z.string().regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/, 'expected the name of a group'),
        )
        .min(1)
        .max(64)
        .describe('groups whose agents get the list'),
    })
    .optional()
    .describe(
      "the list in the groups' shared folders (pilotfish.list), for agents that reach nothing but " +
        '1514; agents reload modules whenever it changes: on membership, and at half of list.validFor',
    ),
  zone: zoneSection.optional().describe('a DNS zone of the managers, for hosts without a sidecar'),
  balancers: balancersSection,
  api: z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe(
          'the HTTP API under /api/v1/; it lets nobody in without a token, see `api-token`',
        ),
      page: z
        .boolean()
        .default(true)
        .describe('the web page at /; it shows nothing without a token of the API'),
    })
    .prefault({}),
  metrics: z
    .strictObject({
      enabled: z.boolean().default(true).describe('show /metrics to Prometheus'),
      networks: z
        .array(z.string().refine(isCidr, 'expected a network, such as 10.1.0.0/16'))
        .max(64)
        .default(['127.0.0.0/8', '::1/128'])
        .describe('who may ask for it; nobody else finds it'),
    })
    .prefault({}),
  export: z
    .strictObject({
      folder: z
        .string()
        .min(1)
        .optional()
        .describe(
          'keep list and roots there as files that any web server can serve, see `export`; relative to --dir',
        ),
      certificates: z
        .array(
          z.strictObject({
            file: z.string().min(1).describe('certificate, chain and key; relative to --dir'),
            hosts: z
              .array(dialled('a name or address of that server'))
              .min(1)
              .max(16)
              .describe('what sidecars call that server'),
            reload: z
              .array(z.string().min(1))
              .min(1)
              .max(32)
              .optional()
              .describe('program and arguments that let the server read it again'),
          }),
        )
        .max(16)
        .default([])
        .describe('certificates for other servers of the list and for followers, kept fresh'),
    })
    .prefault({}),
  events: eventsSection('--dir'),
  log: z
    .strictObject({
      level: z
        .enum(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info')
        .describe('least level that is logged'),
    })
    .prefault({}),
});

function file(fallback: string, text: string) {
  return z.string().min(1).default(fallback).describe(`${text}; relative to --dir`);
}

type Settings = z.output<typeof publisherSchema>;

export interface PublisherConfig
  extends Omit<Settings, 'managers' | 'listen' | 'limits' | 'follow'> {
  readonly follow?: FollowConfig;
  readonly configured: ConfiguredContent;
  /** The cluster node of each manager, by manager id. */
  readonly nodes: ReadonlyMap<string, string>;
  readonly listen: { readonly host: string; readonly port: number };
  readonly limits: ConnectionLimits & {
    readonly maxRequestsPerSocket: number;
    readonly maxReceiptsPerSecond: number;
  };
}

/** Throws ConfigError `config_invalid` naming file, line and key. */
export function parsePublisherConfig(text: string, path: string): PublisherConfig {
  const settings = parseConfig<Settings>(publisherSchema, text, path);
  const { managers, listen, follow, ...rest } = settings;
  checkUnique(settings, path);
  checkRole(settings, path);
  checkLeader(settings.leader, path);
  checkPromotion(settings.cluster?.promotion, settings.leader.etcd !== undefined, path);
  const fault = wavesFault(settings.rollout);
  if (fault !== undefined) throw new ConfigError('config_invalid', `${path}: ${fault}`);
  if (settings.list.resignEvery * 2 > settings.list.validFor) {
    const message = `${path}: list.resignEvery: expected at most half of list.validFor`;
    throw new ConfigError('config_invalid', message);
  }
  const nodes = new Map(managers.map(({ id: name, node }) => [name, node ?? name]));
  return {
    ...{ ...rest, nodes, configured: configuredOf(settings) },
    listen: parseListen(listen, path),
    ...(follow === undefined ? {} : { follow: readFollow(follow, settings.org, path) }),
  };
}

/** A writer has managers, a follower takes them from the list. */
function checkRole({ managers, follow, cluster }: Settings, path: string): void {
  const invalid = (text: string): ConfigError =>
    new ConfigError('config_invalid', `${path}: ${text}`);
  if (follow === undefined && managers.length === 0) {
    throw invalid('managers: expected at least one manager');
  }
  if (follow === undefined) return;
  if (managers.length > 0) {
    throw invalid('managers: expected none beside `follow`; the writer names them');
  }
  if (follow.from.includes('cluster') && cluster === undefined) {
    throw invalid('follow.from: `cluster` needs a `cluster` section, for the node beside it');
  }
}

function configuredOf({ list: settings, managers, roster }: Settings): ConfiguredContent {
  const {
    validFor,
    resignEvery: _resign,
    group,
    site,
    acceptRate,
    balancers,
    ...client
  } = settings;
  return {
    managers: managers.map(({ node: _node, addresses: _addresses, ...listed }) => present(listed)),
    ...advertisedOf(managers),
    acceptRate,
    ...(balancers.length === 0 ? {} : { balancers }),
    ...(roster.enabled ? { isGated: true } : {}),
    ...(roster.hearNodes ? { hearsNodes: true } : {}),
    client: present(client),
    validFor: Math.round(validFor / 1_000),
    aud: { group, site },
  };
}

function checkUnique({ managers, list: { balancers } }: Settings, path: string): void {
  const keys = [
    ...managers.map(({ id: name }) => `id ${name}`),
    ...[...managers, ...balancers].map((one) => `address ${one.address.toLowerCase()}:${one.port}`),
  ];
  const zones = managers.flatMap(({ id: name, addresses }) =>
    addresses.map(({ zone }) => `zone ${zone} of ${name}`),
  );
  const twice = [...keys, ...zones].find((key, place, all) => all.indexOf(key) < place);
  if (twice === undefined) return;
  throw new ConfigError('config_invalid', `${path}: managers: ${twice} twice`);
}

function parseListen(text: string, path: string): PublisherConfig['listen'] {
  const at = text.lastIndexOf(':');
  const port = Number(text.slice(at + 1));
  if (port > 65_535) throw new ConfigError('config_invalid', `${path}: listen: port above 65535`);
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port };
}
