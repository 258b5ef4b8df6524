/** The publisher's server certificate from its files, renewed while it runs. */
import { sleep } from '../clock.ts';
import { ConfigError, PilotfishError } from '../errors.ts';
import { buildCertificateMaker } from '../host/certificate-maker.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import type { Log } from '../log.ts';
import type { Complaints } from '../publisher/complaints.ts';
import type { PublisherFolder } from '../publisher/init.ts';
import {
  type KeyedCertificate,
  renewalReason,
  serverValidDays,
} from '../publisher/server-identity.ts';
import { requireFile } from './build-publisher-office.ts';
import type { PublisherConfig } from './publisher-config.ts';

const maker = buildCertificateMaker(clock, random);

/** The server certificate in use, made anew where it must be. */
export async function openIdentity(
  folder: PublisherFolder,
  config: Pick<PublisherConfig, 'files'>,
  hosts: readonly string[],
  log: Log,
) {
  const { files } = config;
  const authorityPem = await requireFile(folder, files.authority);
  let now = splitPem((await folder.read(files.server)) ?? '');
  const renew = async (): Promise<KeyedCertificate | undefined> => {
    const facts = now && maker.inspect(now.certificatePem);
    const why = facts && renewalReason(facts, { authorityPem, hosts }, clock.nowMs());
    if (now !== undefined && why === undefined) return undefined;
    log.info('certificate.due', { why: why ?? 'there is none' });
    const keyPem = await requireFile(folder, files.authorityKey);
    const authority = { certificatePem: authorityPem, keyPem };
    // Sidecars know a node behind a virtual IP by this key: a later date must not look like a move.
    const isOurs = facts?.isUnder(authorityPem) === true;
    const kept = isOurs && now !== undefined ? { keyPem: now.keyPem } : {};
    now = maker.makeServer({ authority, hosts, validDays: serverValidDays, ...kept });
    await folder.write(files.server, `${now.certificatePem}${now.keyPem}`);
    return now;
  };
  await renew();
  if (now === undefined) throw new TypeError('no server certificate was made');
  return { now: { certificate: now, authorityPem }, renew };
}

export interface FollowerIdentity {
  readonly now: { readonly certificate: KeyedCertificate; readonly authorityPem: string };
  /** Told of every certificate that came in place of the one in use. */
  onRenewed(handler: (certificate: KeyedCertificate) => void): void;
  /** Looks at the file again and again, until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
}

const lookEveryMs = 30_000;
const warnBeforeMs = 5 * 86_400_000;
const topic = 'certificate.followed';

/**
 * A follower holds no key of the authority: its certificate comes as a file, which the writer keeps
 * fresh (`export.certificates`), and is used from the next look on. Throws ConfigError.
 */
export async function openFollowerIdentity(
  folder: PublisherFolder,
  { files, listen }: PublisherConfig,
  complaints: Complaints,
): Promise<FollowerIdentity> {
  const read = async () => {
    const text = await folder.read(files.server);
    const certificate = splitPem(text ?? '');
    const authorityPem = (await folder.read(files.authority)) ?? secondCertificate(text ?? '');
    return certificate && authorityPem ? { certificate, authorityPem } : undefined;
  };
  const now = await read();
  if (now === undefined) {
    const seen = `${folder.path}/${files.server} holds no certificate with its chain and key`;
    const todo = '`export.certificates` on the writer makes it, or `export --certificate`';
    throw new ConfigError('config_unreadable', `${seen} for ${listen.host}; ${todo}`);
  }
  let used = now.certificate;
  let tell: (certificate: KeyedCertificate) => void = () => undefined;
  const look = async (): Promise<void> => {
    const found = (await read())?.certificate ?? used;
    const { notAfterMs } = maker.inspect(found.certificatePem);
    if (found.certificatePem !== used.certificatePem) tell(found);
    used = found;
    const leftDays = Math.floor((notAfterMs - clock.nowMs()) / 86_400_000);
    if (notAfterMs - clock.nowMs() > warnBeforeMs) complaints.end(topic);
    else complaints.begin(topic, `${files.server} ends in ${leftDays} days and was not replaced`);
  };
  return {
    now,
    onRenewed(handler) {
      tell = handler;
    },
    async run(signal) {
      while (!signal.aborted) {
        await look().catch((thrown: unknown) => {
          if (!(thrown instanceof PilotfishError)) throw thrown;
          complaints.begin(topic, thrown.message); // the one in use stays
        });
        await sleep(clock, lookEveryMs, signal).catch(() => undefined);
      }
    },
  };
}

function secondCertificate(text: string): string | undefined {
  return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g)?.[1];
}

function splitPem(text: string): KeyedCertificate | undefined {
  const certificatePem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/.exec(text);
  const keyPem = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n/.exec(text);
  if (certificatePem === null || keyPem === null) return undefined;
  return { certificatePem: certificatePem[0], keyPem: keyPem[0] };
}
