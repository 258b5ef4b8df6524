/**
 * What somebody who helps from afar needs, as one small archive: named parts only, each bounded,
 * all of them redacted, and refused as a whole when a known secret is still in it.
 */
import { gzipSync } from 'node:zlib';
import { HostError } from '../errors.ts';
import type { Redactor } from './redact.ts';
import { renderTar, type TarEntry } from './tar.ts';

export interface Part {
  /** `status.json`. */
  readonly name: string;
  /** Text, or a value that is shown as JSON. */
  readonly content: string | object | undefined;
  /** Which end of a long one is kept; logs keep their tail. */
  readonly keep?: 'head' | 'tail';
}

export const bundleLimits = { maxPartChars: 256 * 1024, maxParts: 40 } as const;

/** Throws HostError `secret_leak` when a secret would leave: a bug of ours, and nothing is written. */
export function makeBundle(
  folder: string,
  parts: readonly Part[],
  redactor: Redactor,
  nowMs: number,
): Buffer {
  const entries = parts
    .slice(0, bundleLimits.maxParts)
    .filter(({ content }) => content !== undefined)
    .map((part) => ({
      name: `${folder}/${part.name}`,
      bytes: Buffer.from(textOf(part, redactor)),
    }));
  const leak = entries.find(({ bytes }: TarEntry) => !redactor.isClean(bytes));
  if (leak !== undefined) {
    throw new HostError(
      'secret_leak',
      `${leak.name}: a secret is still in it; nothing was written`,
    );
  }
  return gzipSync(renderTar(entries, nowMs / 1_000));
}

function textOf({ content, keep = 'head' }: Part, redactor: Redactor): string {
  const whole = typeof content === 'string' ? content : JSON.stringify(content, undefined, 1);
  // Cut after redaction: half a secret has no shape any more.
  const clean = redactor.text(
    whole.length > 4 * bundleLimits.maxPartChars ? cut(whole, keep, 4) : whole,
  );
  return clean.length <= bundleLimits.maxPartChars ? clean : cut(clean, keep, 1);
}

/** At a line's end: half a line could hold half a secret. */
function cut(text: string, keep: 'head' | 'tail', times: number): string {
  const length = times * bundleLimits.maxPartChars;
  const note = `[cut: ${text.length} characters]`;
  const kept = keep === 'head' ? text.slice(0, length) : text.slice(-length);
  const at = keep === 'head' ? kept.lastIndexOf('\n') : kept.indexOf('\n');
  const whole = keep === 'head' ? kept.slice(0, Math.max(0, at)) : kept.slice(at + 1);
  return keep === 'head' ? `${whole}\n${note}\n` : `${note}\n${whole}`;
}
