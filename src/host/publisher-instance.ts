/**
 * An id that no other publisher has, in a file of its directory. It belongs to this very place: a copy
 * of the directory, or a cloned machine, gets one of its own as soon as it runs.
 */
import { createHash } from 'node:crypto';
import { readFile, realpath } from 'node:fs/promises';
import { hostname } from 'node:os';
import { encodeBase64Url } from '../bytes.ts';
import type { Random } from '../clock.ts';
import { HostError } from '../errors.ts';
import { isJsonObject } from '../guards.ts';
import { openPublisherFolder } from './publisher-folder.ts';

const name = 'instance.json';

/** Undefined: none was made for this place yet. Throws ConfigError `config_unreadable`. */
export async function readInstance(directory: string): Promise<string | undefined> {
  const text = await openPublisherFolder(directory).read(name);
  const { id, place } = parse(text);
  const isOwn = typeof id === 'string' && /^[\w-]{16,64}$/.test(id);
  return isOwn && place === (await placeOf(directory)) ? id : undefined;
}

/** For whoever holds the directory's lock. Throws ConfigError `config_unreadable`. */
export async function openInstance(directory: string, random: Random): Promise<string> {
  const known = await readInstance(directory);
  if (known !== undefined) return known;
  const id = encodeBase64Url(random.bytes(16));
  const text = `${JSON.stringify({ id, place: await placeOf(directory) })}\n`;
  try {
    await openPublisherFolder(directory).write(name, text);
  } catch (thrown) {
    // A full disk keeps no list from being served: known to this process alone, then.
    if (!(thrown instanceof HostError)) throw thrown;
  }
  return id;
}

function parse(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return isJsonObject(value) ? value : {};
  } catch {
    return {}; // damaged: as if there were none
  }
}

/** Machine, host and directory, as a hash: it tells nobody anything. */
async function placeOf(directory: string): Promise<string> {
  const machine = await readFile('/etc/machine-id', 'utf8').catch(() => '');
  const path = await realpath(directory).catch(() => directory);
  const words = [machine.trim(), hostname(), path].join('\n');
  return createHash('sha256').update(words).digest('base64url');
}
