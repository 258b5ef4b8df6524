/** `leader:` of publisher.yml: which of several publishers writes. */
import * as z from 'zod';
import { ConfigError } from '../errors.ts';
import { duration } from './config-file.ts';

const path = (text: string) => z.string().min(1).optional().describe(`${text}; relative to --dir`);

const etcd = z.strictObject({
  endpoints: z
    .array(
      z
        .string()
        .regex(/^https?:\/\/[^/\s@?#]+:\d{1,5}$/, 'expected https://HOST:PORT, without a path'),
    )
    .min(1)
    .max(9)
    .describe('client URLs of the members of one etcd cluster, v3.4 or newer'),
  prefix: z
    .string()
    .regex(/^\/[A-Za-z0-9._/-]{0,126}\/$/, 'expected /…/ of A-Z a-z 0-9 . _ / -')
    .optional()
    .describe('where our keys lie; unset: /pilotfish/ORG/'),
  ca: path("PEM of etcd's authority; unset: the authorities of the system"),
  cert: path('PEM of a client certificate, without a common name, as the gateway of etcd demands'),
  key: path('PEM of its key'),
  user: z.string().min(1).max(128).optional().describe('user, where etcd asks for one'),
  passwordFile: path('file that holds the password alone'),
});

export const leaderSection = z.strictObject({
  engine: z
    .enum(['file', 'etcd'])
    .default('file')
    .describe(
      'file: this publisher writes, and it alone; etcd: one of all that share its keys, another when it fails',
    ),
  name: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, 'expected 1 to 64 of A-Z a-z 0-9 . _ -')
    .optional()
    .describe('the name of this publisher for the others; unset: the name of the host'),
  url: z
    .string()
    .regex(/^https:\/\/[^\s@?#]{1,250}$/, 'expected https://HOST:PORT')
    .optional()
    .describe('where operators reach it, told where another publisher refuses a command'),
  ttl: duration(
    '15s',
    { min: '3s', max: '10m' },
    'etcd: how long the seat of a publisher that fell silent stays empty; in whole seconds',
  ),
  etcd: etcd.optional(),
});

export type LeaderConfig = z.output<typeof leaderSection>;

/** Throws ConfigError `config_invalid`. */
export function checkLeader(leader: LeaderConfig, file: string): void {
  const { engine, etcd: settings, ttl } = leader;
  const fault = faultOf(engine, settings, ttl);
  if (fault !== undefined) throw new ConfigError('config_invalid', `${file}: leader.${fault}`);
}

function faultOf(
  engine: LeaderConfig['engine'],
  settings: LeaderConfig['etcd'],
  ttlMs: number,
): string | undefined {
  if (engine === 'etcd' && settings === undefined)
    return 'etcd: expected, since the engine is etcd';
  if (ttlMs % 1_000 !== 0) return 'ttl: expected whole seconds';
  if (settings === undefined) return undefined;
  const { cert, key, user, passwordFile, endpoints } = settings;
  if ((cert === undefined) !== (key === undefined)) return 'etcd: cert and key go together';
  if ((user === undefined) !== (passwordFile === undefined)) {
    return 'etcd: user and passwordFile go together';
  }
  const isPlain = endpoints.some((url) => url.startsWith('http:'));
  if (isPlain && (user !== undefined || cert !== undefined)) {
    return 'etcd.endpoints: a password or a certificate needs https';
  }
  return undefined;
}
