/** What of a received bundle lies on the disk, before and after it is in its place. */
import type { FileStamp } from './hash-cache.ts';
import type { Entry } from './manifest.ts';
import type { FileName } from './name.ts';
import type { Staged } from './place.ts';

export interface StagedFile extends Staged {
  readonly sizeBytes: number;
  /** BLAKE2b-512, hex. */
  readonly hash: string;
  /** Set: it lies in a folder that may be moved as one. */
  readonly whole?: Whole;
}

/** Files of one folder that was not there when they were staged, under their own names. */
export interface StagedFolder {
  readonly path: string;
  /** All that lie in it. */
  files: number;
}

/** New files of one folder and one item, which takes each of them: the bundle said so before they came. */
export interface ToldFolder {
  readonly folder: StagedFolder;
  readonly entry: Entry;
  /** Permissions that they have. */
  readonly mode: number;
  readonly files: Placed[];
}

export function pathIn({ folder }: Pick<ToldFolder, 'folder'>, name: FileName): string {
  return `${folder.path}/${name.slice(name.lastIndexOf('/') + 1)}`;
}

/** How a file lies in its staged folder; its stamp stays through the move of the folder. */
export interface Whole {
  readonly folder: StagedFolder;
  readonly stamp: FileStamp;
}

export interface Placed {
  readonly name: FileName;
  readonly stamp: FileStamp;
  readonly hash: string;
}
