/** What every command of this host shares, and where lists come from. */

import type { Prober } from '../health/probe.ts';
import { buildPublisherLink, defaultHttpsLimits } from '../host/https-source.ts';
import { parseProxy } from '../host/proxy-tunnel.ts';
import { type SidecarFiles, sourceFiles } from '../host/sidecar-files.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import type { TwoGenerationFile } from '../host/two-generation-file.ts';
import type { Log } from '../log.ts';
import { PublisherBook } from '../sidecar/publisher-book.ts';
import type { ReportLink } from '../sidecar/report-sender.ts';
import type { SourceFiles, SourceWorld } from '../sidecar/source.ts';
import type { Place } from '../sidecar/world.ts';
import type { AgentHome } from '../wazuh/agent-home.ts';
import type { SidecarConfig } from './sidecar-config.ts';
import type { NameTools } from './sidecar-host.ts';

export interface ApplierApart {
  readonly spool: string;
  readonly results: string;
}

export interface Rooms {
  readonly config: SidecarConfig;
  readonly home: AgentHome;
  /** The version of this program. */
  readonly version: string;
  /** Where the agent keeps its id and key. */
  readonly keysPath: string;
  readonly hasSystemd: boolean;
  readonly stateDirectory: string;
  /** The applier's own state; root's where it runs apart. */
  readonly applierDirectory: string;
  /** The applier runs apart, as root: requests and results travel by file. */
  readonly apart?: ApplierApart;
  readonly log: Log;
  readonly place: Place;
  /** One resolver, with one cache, for whoever needs a name. */
  readonly names: NameTools;
  readonly prober: Prober;
  readonly files: SidecarFiles;
  readonly memoryFile: TwoGenerationFile;
}

/** Reports go over the connections that questions keep open. */
export type SourceGround = SourceWorld & { readonly link: ReportLink };

/** Files of a source that this host makes itself (DNS); its path is read like any other. */
export interface OwnSource {
  readonly files: SourceFiles;
  readonly path: string;
}

export function buildSourceWorld(
  { files: filePaths, publishers, proxy }: SidecarConfig['sources'],
  own?: OwnSource,
): SourceGround {
  const through = proxy === undefined ? undefined : parseProxy(proxy);
  const link = buildPublisherLink(clock, defaultHttpsLimits, through);
  const paths = own === undefined ? filePaths : [...filePaths, own.path];
  const files = own?.files ?? sourceFiles;
  return { clock, random, link, files, filePaths: paths, publishers, book: new PublisherBook() };
}
