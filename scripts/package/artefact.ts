/** Finished files: what they are, their sizes and hashes. */
import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { basename } from 'node:path';

export interface Artefact {
  readonly path: string;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

export async function artefactOf(path: string): Promise<Artefact> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return { path, bytes: statSync(path).size, sha256: hash.digest('hex') };
}

export function renderArtefacts(artefacts: readonly Artefact[]): string {
  return artefacts
    .map(({ path, bytes, sha256 }) =>
      [sha256, `${(bytes / 1e6).toFixed(1).padStart(7)} MB`, basename(path)].join('  '),
    )
    .join('\n');
}

/** The format of `sha256sum --check`. */
export function renderSums(artefacts: readonly Artefact[]): string {
  return artefacts
    .map(({ path, sha256 }) => `${sha256}  ${basename(path)}\n`)
    .toSorted((left, right) => left.slice(66).localeCompare(right.slice(66)))
    .join('');
}
