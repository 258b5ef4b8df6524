/** The static site from real parts: once for `export`, at every change for a running publisher. */
import { resolve } from 'node:path';
import { encodeUtf8 } from '../bytes.ts';
import { sleep } from '../clock.ts';
import { ConfigError, PilotfishError } from '../errors.ts';
import { openPublisherFolder } from '../host/publisher-folder.ts';
import { writeSite } from '../host/static-site-folder.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import { signFlat } from '../list/flat.ts';
import type { Complaints } from '../publisher/complaints.ts';
import type { ServedList } from '../publisher/list-service.ts';
import { listOf } from '../publisher/publish.ts';
import { nginxSnippet, type SiteGround, siteFiles } from '../publisher/static-site.ts';
import { writeCertificate } from './build-publisher-certificates.ts';
import { openOffice, requireFile } from './build-publisher-office.ts';
import type { CertificateWish, Exported } from './publisher-host.ts';

/** Throws ConfigError `unknown_version` while nothing was published, HostError `write_failed`. */
export async function exportSite(
  directory: string,
  folder: string,
  wish: CertificateWish | undefined,
): Promise<Exported> {
  const office = await openOffice(directory);
  try {
    const newest = office.history.newest();
    if (newest === undefined) {
      throw new ConfigError('unknown_version', 'nothing was published yet; `publish` does it');
    }
    const roots = office.roots.envelopes;
    const flat = signFlat(listOf(newest), newest.hash, office.desk.listKey);
    const files = siteFiles({ newest, roots, flat });
    const target = resolve(folder);
    const snippet = { name: 'nginx.conf', bytes: encodeUtf8(nginxSnippet(target)) };
    const written = await writeSite(target, [...files, snippet]);
    if (wish !== undefined) await exportCertificate(directory, office.config.files, wish);
    return {
      version: newest.version,
      written: wish === undefined ? written : [...written, wish.file],
    };
  } finally {
    office.close();
  }
}

async function exportCertificate(
  directory: string,
  files: { readonly authority: string; readonly authorityKey: string },
  { file, hosts }: CertificateWish,
): Promise<void> {
  const folder = openPublisherFolder(directory);
  const certificatePem = await requireFile(folder, files.authority);
  const keyPem = await requireFile(folder, files.authorityKey);
  await writeCertificate(resolve(file), { certificatePem, keyPem }, hosts);
}

const lookEveryMs = 1_000;
const againMs = 60_000;
const topic = 'export.folder';

export interface ExportView {
  served(): ServedList | undefined;
  roots(): SiteGround['roots'];
}

/** Keeps `folder` as what is served, until `signal` aborts; a disk that refuses is told and tried again. */
export async function followExport(
  folder: string,
  view: ExportView,
  complaints: Complaints,
  signal: AbortSignal,
): Promise<void> {
  let done = '';
  while (!signal.aborted) {
    const served = view.served();
    const roots = view.roots();
    const mark = `${served?.etag ?? ''} ${roots.size}`;
    let waitMs = lookEveryMs;
    if (served !== undefined && mark !== done) {
      try {
        const { entry: newest, flat } = served;
        await writeSite(folder, siteFiles({ newest, roots, flat }));
        complaints.end(topic);
        done = mark;
      } catch (thrown) {
        if (!(thrown instanceof PilotfishError)) throw thrown;
        complaints.begin(topic, thrown.message);
        waitMs = againMs;
      }
    }
    await sleep(clock, waitMs, signal).catch(() => undefined);
  }
}
