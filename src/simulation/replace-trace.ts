/**
 * The visible steps of replacing ossec.conf, recorded by running the real protocol once over a
 * folder that only takes notes. The world then plays them on thousands of disks, with kills and
 * power cuts between any two.
 */
import { type ConfigFolder, replaceConfig, type TempFile } from '../applier/replace.ts';
import type { DiskOp } from './logic.ts';

export async function recordReplaceOps(): Promise<readonly DiskOp[]> {
  const ops: DiskOp[] = [];
  const note = (op: DiskOp): void => void ops.push(op);
  const bytes = new Uint8Array([1]);
  const temp: TempFile = {
    name: 'temp',
    identity: 'temp',
    carryAttributes: async () => [],
    write: async () => note('write_synced'),
    readBack: async () => {
      note('read_back');
      return bytes;
    },
    discard: async () => note('discard'),
  };
  const folder: ConfigFolder = {
    createTemp: async () => {
      note('create');
      return temp;
    },
    commit: async () => {
      note('rename');
      return 'renamed';
    },
    sync: async () => note('sync_folder'),
    overwrite: async () => note('write_target'),
  };
  const before = { bytes: new Uint8Array([0]), hash: 'sha256:', identity: 'old' };
  await replaceConfig({ folder, before, bytes, keepBackup: async () => note('backup') });
  return ops;
}
