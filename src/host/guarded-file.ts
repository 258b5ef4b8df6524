/** A file that decides what may be trusted: only root, or whoever runs us, may have written it. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { ConfigError } from '../errors.ts';
import { messageOf } from '../guards.ts';

const maxBytes = 256 * 1024;

/** Throws ConfigError `config_unreadable`, or `config_invalid` when others may write it. */
export async function readGuarded(path: string): Promise<string> {
  const unreadable = (error: unknown): ConfigError =>
    new ConfigError('config_unreadable', `${path}: ${messageOf(error)}`, { cause: error });
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const handle = await open(path, flags).catch((error: unknown) => {
    throw unreadable(error);
  });
  try {
    const { uid, mode, size } = await handle.stat();
    const isWindows = process.platform === 'win32';
    const isForeign = !isWindows && uid !== 0 && uid !== process.getuid?.();
    const isOpen = !isWindows && (mode & 0o022) !== 0;
    if (!(await handle.stat()).isFile() || size > maxBytes || isForeign || isOpen) {
      const rule = 'expected a regular file that root owns and nobody else may write';
      throw new ConfigError('config_invalid', `${path}: ${rule}`);
    }
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}
