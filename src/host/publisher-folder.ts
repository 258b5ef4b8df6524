/** The publisher's directory: its own (0700), files 0600, every write whole or not at all. */
import { chmod, mkdir, open, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ConfigError, HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import type { PublisherFolder } from '../publisher/init.ts';
import { writeDurably } from './two-generation-file.ts';

const maxFileBytes = 1024 * 1024;
const secretNames = /\.(?:jwk|key|pem)$/;

export function openPublisherFolder(path: string): PublisherFolder {
  const at = (name: string): string => resolve(path, name);
  return {
    path,
    read: (name) => readSmall(at(name), secretNames.test(name)),
    async write(name, text) {
      await makeDirectory(path);
      await writeDurably(at(name), Buffer.from(text, 'utf8'));
    },
    list: (name = '.') => listDirectory(join(path, name)),
  };
}

async function makeDirectory(path: string): Promise<void> {
  try {
    const made = await mkdir(path, { recursive: true, mode: 0o700 });
    if (made !== undefined) await chmod(path, 0o700);
  } catch (error) {
    throw new HostError('write_failed', `${path}: ${messageOf(error)}`, { cause: error });
  }
}

async function readSmall(path: string, isSecret: boolean): Promise<string | undefined> {
  try {
    const handle = await open(path, 'r');
    try {
      const { size, mode } = await handle.stat();
      if (size > maxFileBytes) throw new Error(`larger than ${maxFileBytes} bytes`);
      if (isSecret && process.platform !== 'win32' && (mode & 0o077) !== 0) {
        throw new Error(`others may read this private key; chmod 600 ${path}`);
      }
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw new ConfigError('config_unreadable', `${path}: ${messageOf(error)}`, { cause: error });
  }
}

async function listDirectory(path: string): Promise<readonly string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return [];
    throw new ConfigError('config_unreadable', `${path}: ${messageOf(error)}`, { cause: error });
  }
}
