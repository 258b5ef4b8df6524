/** A list as the simulated world holds it: parsed once, shared by every agent. */
import type { Manager, ManagerList } from '../list/model.ts';

export interface Published {
  readonly list: ManagerList;
  readonly hash: string;
  /** Made by the world's own publisher. */
  readonly isGenuine: boolean;
  /** By number in the world; undefined for managers that the list leaves out. */
  readonly byNumber: readonly (Manager | undefined)[];
}
