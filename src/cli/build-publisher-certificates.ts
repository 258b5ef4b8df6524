/**
 * Certificates under the pinned authority for other servers of the list and for followers, each a
 * file with chain and key: made where there is none, made anew long before they end, or when their
 * hosts or the authority are others. The server is then told to read it again.
 */
import { resolve } from 'node:path';
import { encodeUtf8 } from '../bytes.ts';
import { sleep } from '../clock.ts';
import { HostError, PilotfishError } from '../errors.ts';
import { buildCertificateMaker } from '../host/certificate-maker.ts';
import { openPublisherFolder } from '../host/publisher-folder.ts';
import { runProgram } from '../host/run-program.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import { writeDurably } from '../host/two-generation-file.ts';
import type { Log } from '../log.ts';
import type { Complaints } from '../publisher/complaints.ts';
import {
  type KeyedCertificate,
  renewalReason,
  serverValidDays,
} from '../publisher/server-identity.ts';
import { requireFile } from './build-publisher-office.ts';
import type { PublisherConfig } from './publisher-config.ts';

const maker = buildCertificateMaker(clock, random);
const lookEveryMs = 60_000;
const reloadDeadlineMs = 30_000;

type Certificate = PublisherConfig['export']['certificates'][number];

export interface CertificateGround {
  readonly path: string;
  readonly log: Log;
  readonly complaints: Complaints;
  /** Read anew at every look: a reload may have changed it. */
  config(): PublisherConfig;
}

/** Until `signal` aborts; what fails is told and tried again. */
export async function keepCertificates(
  ground: CertificateGround,
  signal: AbortSignal,
): Promise<void> {
  const unread = new Set<string>(); // written, but its server was not told yet
  while (!signal.aborted) {
    for (const one of ground.config().export.certificates) await tend(ground, one, unread);
    await sleep(clock, lookEveryMs, signal).catch(() => undefined);
  }
}

async function tend(
  ground: CertificateGround,
  one: Certificate,
  unread: Set<string>,
): Promise<void> {
  const { complaints, log } = ground;
  const topic = `certificate.${one.file}`;
  try {
    const why = await renewWhenDue(ground.path, ground.config(), one);
    if (why !== undefined) {
      log.info('certificate.written', { file: one.file, why });
      unread.add(one.file);
    }
    if (unread.has(one.file) && one.reload !== undefined) await reload(one.reload);
    unread.delete(one.file);
    complaints.end(topic);
  } catch (thrown) {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    complaints.begin(topic, thrown.message);
  }
}

async function reload(argv: readonly string[]): Promise<void> {
  const { exit, stderr, startError } = await runProgram({ argv, timeoutMs: reloadDeadlineMs });
  if (exit === 0) return;
  const said = startError ?? stderr.toString('utf8').trim().slice(0, 300);
  throw new HostError('write_failed', `${argv.join(' ')} ended with ${exit ?? 'no code'}: ${said}`);
}

/** Why it was written; undefined: it is good. Throws ConfigError, HostError. */
export async function renewWhenDue(
  path: string,
  { files }: Pick<PublisherConfig, 'files'>,
  { file, hosts }: Pick<Certificate, 'file' | 'hosts'>,
): Promise<string | undefined> {
  const folder = openPublisherFolder(path);
  const authorityPem = await requireFile(folder, files.authority);
  const why = await whyDue(await folder.read(file), { authorityPem, hosts });
  if (why === undefined) return undefined;
  const keyPem = await requireFile(folder, files.authorityKey);
  await writeCertificate(resolve(path, file), { certificatePem: authorityPem, keyPem }, hosts);
  return why;
}

async function whyDue(
  text: string | undefined,
  wanted: { readonly authorityPem: string; readonly hosts: readonly string[] },
): Promise<string | undefined> {
  const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/.exec(text ?? '')?.[0];
  if (pem === undefined) return 'there is none';
  return renewalReason(maker.inspect(pem), wanted, clock.nowMs());
}

/** Certificate, chain and key in one file, for its owner alone. */
export async function writeCertificate(
  path: string,
  authority: KeyedCertificate,
  hosts: readonly string[],
): Promise<void> {
  const made = maker.makeServer({ authority, hosts, validDays: serverValidDays });
  const text = `${made.certificatePem}${authority.certificatePem}${made.keyPem}`;
  await writeDurably(path, encodeUtf8(text));
}
