/** The publisher's server certificate from its files, renewed while it runs. */
import { buildCertificateMaker } from '../host/certificate-maker.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import type { Log } from '../log.ts';
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

function splitPem(text: string): KeyedCertificate | undefined {
  const certificatePem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/.exec(text);
  const keyPem = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n/.exec(text);
  if (certificatePem === null || keyPem === null) return undefined;
  return { certificatePem: certificatePem[0], keyPem: keyPem[0] };
}
