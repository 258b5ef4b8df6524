import type { BundleShelf } from '../tasks/bundle-shelf.ts';
import type { LocalIntegrity } from '../tasks/local-integrity.ts';
import type { NodePorts, NodeSettings } from '../tasks/node-ports.ts';

/** What all workers of one master share. */
export interface MasterDesk {
  readonly settings: NodeSettings;
  readonly ports: NodePorts;
  readonly local: LocalIntegrity;
  readonly shelf: BundleShelf;
  /** Round of local integrity; permission is granted once in each. */
  round(): number;
  /** When the newest scan was first known to differ from the one before. */
  changedAtMs(): number;
}
