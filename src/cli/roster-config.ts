/** `roster:` in publisher.yml. */
import * as z from 'zod';
import { defaultReadiness, type ReadinessSettings } from '../publisher/roster/readiness.ts';
import { duration } from './config-file.ts';

const whole = (min: number, max: number) => z.number().int().min(min).max(max);

export const rosterSection = z.strictObject({
  enabled: z
    .boolean()
    .default(false)
    .describe('let managers in when they are ready and take them out when they are lost'),
  home: z
    .string()
    .min(1)
    .optional()
    .describe(
      'home of a stock cluster node on this host, whose local socket is asked; unset: our own node, with `cluster:`',
    ),
  api: z
    .strictObject({
      url: z.string().regex(/^https:\/\/[^\s/@]+\/?$/, 'expected https://HOST:PORT'),
      user: z.string().min(1).max(64).describe('may read the cluster, and nothing else'),
      passwordFile: z.string().min(1).describe('file with its password; relative to --dir'),
      pin: z
        .string()
        .regex(/^sha256\/[A-Za-z0-9+/]{43}=$/, 'expected sha256/ and 32 bytes in base64')
        .describe("of the API's public key (SubjectPublicKeyInfo)"),
    })
    .optional()
    .describe('Wazuh API to ask where no cluster node is on this host'),
  local: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected the id of a manager')
    .optional()
    .describe(
      'manager that runs on this host, in `home` (unset: in cluster.home): its daemons, queues and disk ' +
        'count; to the publisher that leads this one says nothing of it but how busy the host is',
    ),
  site: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 of A-Z a-z 0-9 _ -')
    .optional()
    .describe(
      'where this publisher is, as `site` of the sidecars there: all that look from one site have ' +
        'one voice; unset: a place of its own',
    ),
  lameDuck: duration(
    '0s',
    { min: '0s', max: '10m' },
    'when `run` is told to stop, `local` leaves the list, and it goes on for so long: agents move ' +
      'in slots before the host is gone; 0s where stopping the publisher does not stop the manager',
  ),
  hearNodes: z
    .boolean()
    .default(false)
    .describe(
      'take addresses per zone that our own nodes tell (cluster.advertise), within the root and when they answer',
    ),
  interval: duration('500ms', { min: '100ms', max: '1m' }, 'time between two rounds'),
  maxAge: duration(
    '2m',
    { min: '1s', max: '1d' },
    'a worker whose keys and groups were not checked for so long is behind',
  ),
  minReady: whole(1, 16).default(defaultReadiness.minReady).describe('so many managers stay'),
  panicPct: whole(1, 100)
    .default(defaultReadiness.panicPct)
    .describe('when more of them look lost at once, the list stays as it is'),
});

export type RosterConfig = z.output<typeof rosterSection>;

export function readinessSettingsOf({ minReady, panicPct }: RosterConfig): ReadinessSettings {
  return { ...defaultReadiness, minReady, panicPct };
}
