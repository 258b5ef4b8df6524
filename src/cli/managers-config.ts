/** `managers:` in publisher.yml. */
import * as z from 'zod';
import { parseAddress } from '../list/address.ts';
import { present } from '../list/members.ts';
import { listLimits } from '../list/model.ts';
import type { ConfiguredContent } from '../publisher/content.ts';

const whole = (min: number, max: number) => z.number().int().min(min).max(max);

export const id = (text: string) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 of A-Z a-z 0-9 _ -')
    .describe(text);

export const dialled = (text: string) =>
  z
    .string()
    .refine(
      (value) => parseAddress(value) !== undefined,
      'expected a host name, IPv4 or IPv6 address',
    )
    .describe(text);

const zoneAddress = z.strictObject({
  zone: id('zone of the agents that dial it, as in their pilotfish.yml'),
  address: dialled('what they dial'),
  port: whole(1, 65_535).optional().describe('unset: the port of the manager'),
  probe: z
    .boolean()
    .default(true)
    .describe('publish it once it answers from here; false: where only that zone reaches it'),
});

const manager = z.strictObject({
  node: id('its node in the cluster, where that has another name than the manager').optional(),
  id: id('the name of the manager in every command; unique'),
  address: dialled('what agents dial: host name, IPv4, or IPv6 without brackets'),
  port: whole(1, 65_535).default(1514).describe('port for agents'),
  addresses: z
    .array(zoneAddress)
    .max(listLimits.maxZoneAddresses)
    .default([])
    .describe('where agents of other zones reach it instead, behind NAT say'),
  protocol: z.enum(['tcp', 'udp']).default('tcp').describe('transport for agents'),
  zone: id('where it stands; sidecars prefer their own zone').default('default'),
  prio: whole(0, 1_000).default(0).describe('lower is preferred'),
  weight: whole(0, listLimits.maxWeight)
    .default(100)
    .describe('share of agents; 0 is a last resort'),
  state: z
    .enum(['up', 'drain', 'down'])
    .default('up')
    .describe('drain: agents leave in their own time; down: agents leave now'),
  acceptRate: whole(1, listLimits.maxAcceptRate)
    .optional()
    .describe('new sessions a second it takes in; unset: list.acceptRate'),
});

export const managersSection = z
  .array(manager)
  .max(listLimits.maxManagers)
  .default([])
  .describe('the managers that agents may report to; at least one, but on a follower none');

/** What is to be published as soon as it is proven. */
export function advertisedOf(
  managers: z.output<typeof managersSection>,
): Pick<ConfiguredContent, 'advertised'> {
  const advertised = managers.flatMap(({ id: name, addresses }) =>
    addresses.map(({ probe, ...one }) => ({
      ...{ ...present(one), id: name, isTrusted: !probe, from: 'config' as const },
    })),
  );
  return advertised.length === 0 ? {} : { advertised };
}
