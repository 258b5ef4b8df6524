/**
 * A directory held by descriptor, opened from `/` component by component without following a
 * symlink. On Linux `/proc/self/fd/N/NAME` then reaches names in exactly that directory, whatever
 * is renamed above it. macOS has no such path: there names are reached through the path itself.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { AgentError, HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';

export interface OpenFolder {
  readonly handle: FileHandle;
  /** A path to `name` in this directory, whatever the directory is called by now. */
  reach(name: string): string;
}

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const byDescriptor = process.platform === 'linux';

/** `path` must be absolute. Throws AgentError `not_regular` where a component is a symlink. */
export async function openFolder(path: string): Promise<OpenFolder> {
  const names = path.split('/').filter((part) => part !== '');
  if (names.includes('..')) throw new HostError('config_invalid', `${path}: '..' is not allowed`);
  let handle = await open('/', directoryFlags);
  let walked = '';
  for (const name of names) {
    const next = byDescriptor ? `/proc/self/fd/${handle.fd}/${name}` : `${walked}/${name}`;
    walked = `${walked}/${name}`;
    const parent = handle;
    handle = await openComponent(next, walked).finally(() => parent.close());
  }
  return {
    handle,
    reach: (name) => (byDescriptor ? `/proc/self/fd/${handle.fd}/${name}` : `${walked}/${name}`),
  };
}

async function openComponent(path: string, shown: string): Promise<FileHandle> {
  try {
    return await open(path, directoryFlags);
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === 'ELOOP' || code === 'ENOTDIR') {
      const advice = 'a symlink or not a directory; configure the real path';
      throw new AgentError('not_regular', `${shown} is ${advice}`, { cause: error });
    }
    if (code === 'ENOENT') {
      throw new AgentError('not_found', `${shown} does not exist`, { cause: error });
    }
    throw new HostError('write_failed', `${shown}: ${messageOf(error)}`, { cause: error });
  }
}
