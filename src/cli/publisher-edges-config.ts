/** Sections of publisher.yml for hosts without a sidecar: a DNS zone, and load balancers. */
import { isIP } from 'node:net';
import * as z from 'zod';
import { parseName } from '../dns/name.ts';
import { isCidr } from '../list/cidr.ts';
import { duration } from './config-file.ts';

const whole = (min: number, max: number) => z.number().int().min(min).max(max);
const name = (text: string) =>
  z
    .string()
    .refine((value) => parseName(value) !== undefined, 'expected a host name')
    .transform((value) => parseName(value) ?? value)
    .describe(text);
const literal = (text: string) =>
  z
    .string()
    .refine((value) => isIP(value) !== 0, 'expected an IPv4 or IPv6 address')
    .describe(text);
const networks = (text: string) =>
  z
    .array(z.string().refine(isCidr, 'expected a network, such as 10.1.0.0/16'))
    .max(64)
    .describe(text);
const path = (text: string) => z.string().min(1).max(4_096).describe(text);
const argv = (text: string) => z.array(z.string().min(1)).min(1).max(32).describe(text);

const nameServer = z.strictObject({
  address: literal('where it listens'),
  port: whole(1, 65_535).default(53).describe('its port'),
});

export const zoneSection = z.strictObject({
  name: name('the zone, and the name that agents dial; delegate it to us, or let us update it'),
  listen: z
    .strictObject({
      address: literal('where to listen').default('0.0.0.0'),
      port: whole(0, 65_535).default(53).describe('UDP and TCP port'),
    })
    .prefault({}),
  ttl: duration('5s', { min: '1s', max: '1h' }, 'how long answers may be kept'),
  nameServers: z
    .array(name('a name server of the zone'))
    .max(8)
    .default([])
    .describe('first the primary; none: ns.NAME'),
  glue: z
    .record(z.string(), z.array(literal('an address')).min(1).max(8))
    .default({})
    .describe('addresses of name servers that lie inside the zone'),
  hostmaster: name('mailbox of the SOA, with a dot for the @').optional(),
  views: z
    .array(
      z.strictObject({
        networks: networks('clients in these …'),
        zone: z
          .string()
          .min(1)
          .max(64)
          .describe(
            '… get the managers of this zone of the list, and all of them at their addresses for it',
          ),
      }),
    )
    .max(32)
    .default([])
    .describe('clients that get their own managers first'),
  secondaries: z
    .array(nameServer)
    .max(16)
    .default([])
    .describe('may transfer the zone, and are told of every change'),
  answersPerSecond: whole(1, 1_000_000)
    .default(200)
    .describe('answers a second over UDP for one network (/24, /64)'),
  update: z
    .strictObject({
      server: nameServer,
      zone: name('the zone at that server, in which the name lies'),
      keyName: name(
        'its TSIG key, HMAC-SHA256; without one updates are unsigned, as AD zones with "nonsecure and secure" updates take them',
      ).optional(),
      keyFile: path('file with the key in base64; relative to --dir').optional(),
    })
    .refine(
      ({ keyName, keyFile }) => (keyName === undefined) === (keyFile === undefined),
      'expected both keyName and keyFile, or neither',
    )
    .optional()
    .describe('also change the zone of an existing BIND or AD server (RFC 2136)'),
});

const common = {
  zone: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 of A-Z a-z 0-9 _ -')
    .optional()
    .describe("where it stands: managers' addresses for this zone are dialled"),
  file: path('the file we write and that its configuration includes'),
  check: argv('program and arguments that check the whole configuration'),
  reload: argv('program and arguments that reload it'),
};

export const balancersSection = z
  .array(
    z.discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('haproxy'),
        ...common,
        backend: z
          .string()
          .regex(/^[A-Za-z0-9_.:-]{1,64}$/, 'expected a name of HAProxy')
          .default('wazuh')
          .describe('name of the backend'),
        balance: z
          .enum(['leastconn', 'source', 'first', 'roundrobin'])
          .default('leastconn')
          .describe('its balance algorithm'),
        socket: path('admin socket (level admin); without one every change is a reload').optional(),
      }),
      z.strictObject({
        kind: z.literal('nginx'),
        ...common,
        upstream: z
          .string()
          .regex(/^[A-Za-z0-9_.-]{1,64}$/, 'expected a name of nginx')
          .default('wazuh')
          .describe('name of the upstream'),
      }),
    ]),
  )
  .max(8)
  .default([])
  .describe('load balancers on this host that follow the list');

export type ZoneConfig = z.output<typeof zoneSection>;
export type BalancerConfig = z.output<typeof balancersSection>[number];
