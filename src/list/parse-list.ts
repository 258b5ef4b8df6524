/** Manager list: payload bytes to values and back. Wire names: trust-and-safety 1.5. */
import * as z from 'zod';
import { checkType } from './document-type.ts';
import {
  address,
  counter,
  hashTag,
  identifier,
  instant,
  integer,
  list,
  members,
  parseMembers,
  pattern,
  percent,
  port,
  present,
  protocol,
  renderInstant,
  renderPayload,
  scope,
} from './members.ts';
import { listLimits, type Manager, type ManagerList } from './model.ts';
import { parseStrictJson } from './strict-json.ts';

/** What a list may leave out of `client`. */
export const clientDefaults = {
  pollSec: 60,
  spreadSec: 120,
  cooldownSec: 300,
  panicPct: 50,
  agents: 0,
  probeBudgetPerManager: 500,
} as const;

const day = 86_400;
const maxAgents = 10_000_000;

const acceptRate = integer(1, listLimits.maxAcceptRate);

const zoneAddresses = list(
  members({ zone: identifier, address, port: port.optional() }),
  1,
  listLimits.maxZoneAddresses,
).refine(
  (all) => new Set(all.map(({ zone }) => zone)).size === all.length,
  'at most one address per zone',
);

const manager = members({
  id: identifier,
  address,
  port,
  protocol,
  zone: identifier,
  prio: integer(0, 1_000),
  weight: integer(0, listLimits.maxWeight),
  state: z.enum(['up', 'drain', 'down'], { error: '"up", "drain" or "down"' }),
  acceptRate: acceptRate.optional(),
  // An extension: a sidecar that is older than this member ignores it and dials `address`.
  'x-addresses': zoneAddresses.optional(),
});

const client = members({
  maxRetries: integer(1, 100).optional(),
  retryInterval: integer(1, 3_600).optional(),
  notifyTime: integer(1, 3_600).optional(),
  timeReconnect: integer(1, day).optional(),
  pollSec: integer(1, day).default(clientDefaults.pollSec),
  spreadSec: integer(0, day).default(clientDefaults.spreadSec),
  cooldownSec: integer(0, day).default(clientDefaults.cooldownSec),
  panicPct: percent.default(clientDefaults.panicPct),
  agents: integer(0, maxAgents).default(clientDefaults.agents),
  probeBudgetPerManager: integer(1, 100_000).default(clientDefaults.probeBudgetPerManager),
});

const stratum = pattern(/^(?:site|os|version):[A-Za-z0-9_.-]{1,64}$/, 'such as site:eu-1');

const document = members({
  typ: z.literal('pf-list'),
  spec: z.literal(1),
  org: identifier,
  rootVersion: integer(1, Number.MAX_SAFE_INTEGER),
  epoch: counter,
  term: counter,
  version: counter,
  aud: members({ group: scope, site: scope }),
  issued: instant,
  validFor: integer(1, 10 * 366 * day),
  prev: hashTag.optional(),
  managers: list(manager, 1, listLimits.maxManagers),
  client,
  rollout: members({
    id: identifier,
    salt: identifier,
    pct: percent,
    strata: list(members({ key: stratum, pct: percent }), 1, 32).optional(),
  }).optional(),
  admission: members({
    id: identifier,
    ratePerServer: acceptRate,
    startSlot: instant,
  }).optional(),
  balance: members({
    id: identifier,
    from: list(identifier, 1, listLimits.maxManagers),
    pct: integer(1, 100),
  }).optional(),
  balancers: list(members({ address, port }), 1, listLimits.maxBalancers).optional(),
});

/**
 * A well-formed list; nothing is proven. `client` members left out get `clientDefaults`.
 * @throws ListError `wrong_type`, `list_invalid`, `duplicate_member`, `too_big`
 */
export function parseList(payload: Uint8Array): ManagerList {
  const rules = { what: 'list', reason: 'list_invalid' } as const;
  const value = parseStrictJson(payload, rules);
  checkType(value, 'list');
  const wire = parseMembers(document, value, rules);
  const { typ: _typ, spec: _spec, issued, admission, client: tuning, rollout, ...more } = wire;
  const { managers, ...same } = more;
  return present({
    ...same,
    managers: managers.map(managerOf),
    issuedAtMs: issued,
    client: present(tuning),
    rollout: rollout === undefined ? undefined : present(rollout),
    admission:
      admission === undefined
        ? undefined
        : {
            id: admission.id,
            ratePerServer: admission.ratePerServer,
            startSlotAtMs: admission.startSlot,
          },
  });
}

function managerOf({
  'x-addresses': addresses,
  ...same
}: z.output<typeof document>['managers'][number]): Manager {
  return present({ ...same, addresses: addresses?.map(present) });
}

/** The inverse of `parseList`. */
export function renderList(value: ManagerList): Uint8Array {
  const { admission } = value;
  return renderPayload({
    typ: 'pf-list',
    spec: 1,
    org: value.org,
    rootVersion: value.rootVersion,
    epoch: value.epoch,
    term: value.term,
    version: value.version,
    aud: value.aud,
    issued: renderInstant(value.issuedAtMs),
    validFor: value.validFor,
    prev: value.prev,
    managers: value.managers.map(({ addresses, ...same }) => ({
      ...same,
      'x-addresses': addresses,
    })),
    client: value.client,
    rollout: value.rollout,
    admission: admission && {
      id: admission.id,
      ratePerServer: admission.ratePerServer,
      startSlot: renderInstant(admission.startSlotAtMs),
    },
    balance: value.balance,
    balancers: value.balancers,
  });
}
