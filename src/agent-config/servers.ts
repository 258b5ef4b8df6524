/**
 * What an agent would load from an ossec.conf: its verdict, its servers, and what the sidecar asks
 * about enrollment and TLS. Pure and total: any bytes give a reading, none throws.
 */
import { isPlaceholder } from './address.ts';
import { readAgent } from './agent-section.ts';
import { readClient, readClientFallback } from './client-section.ts';
import { diagnose } from './diagnose.ts';
import type { Dialect } from './dialect.ts';
import type { Element } from './element.ts';
import { emptyLoad, type Loaded, type LoadedServer } from './loaded.ts';
import { Positions } from './position.ts';
import { type Complaint, type Problem, Refusal } from './refusal.ts';
import { scan } from './scan.ts';
import { leftFromFour, sectionNeed } from './sections.ts';
import { unknownName } from './server-block.ts';

export interface ConfiguredServer extends LoadedServer {
  readonly start: number;
  readonly end: number;
  readonly line: number;
  readonly column: number;
}

interface Readable {
  /** As the agent loads them. 4.x tries them in order; 5.x uses the first one only. */
  readonly servers: readonly ConfiguredServer[];
  readonly enrollment: Loaded['enrollment'];
  /** 5.x only: how the manager's certificate is verified. */
  readonly verification: Loaded['verification'];
  /** Seconds as written, last one wins; undefined when absent. */
  readonly notifyTime: number | undefined;
  readonly timeReconnect: number | undefined;
  readonly roots: readonly Element[];
}

export type ConfigReading =
  | ({ readonly kind: 'starts' } & Readable)
  /** It parses, but no server is named (4105). */
  | ({ readonly kind: 'no_server'; readonly problem: Problem } & Readable)
  /** Only `MANAGER_IP`, `0.0.0.0` or empty addresses (4112): a fresh image. */
  | ({ readonly kind: 'placeholder_only'; readonly problem: Problem } & Readable)
  | { readonly kind: 'refused'; readonly problem: Problem };

export function readConfig(bytes: Uint8Array, dialect: Dialect): ConfigReading {
  try {
    return readScanned(bytes, dialect, scan(bytes));
  } catch (thrown) {
    if (!(thrown instanceof Refusal)) throw thrown;
    return { kind: 'refused', problem: locate(bytes, diagnose(bytes, thrown.complaint)) };
  }
}

function readScanned(bytes: Uint8Array, dialect: Dialect, roots: readonly Element[]) {
  const loaded = emptyLoad();
  for (const root of roots) {
    if (root.name !== 'ossec_config') throw unknownElement(root, 68);
    for (const section of root.children) readSection({ bytes, dialect, loaded }, section);
  }
  return judge(bytes, loaded, roots);
}

interface Reading {
  readonly bytes: Uint8Array;
  readonly dialect: Dialect;
  readonly loaded: Loaded;
}

function readSection({ bytes, dialect, loaded }: Reading, section: Element): void {
  const need = sectionNeed(dialect, section.name);
  if (need === undefined) throw unknownElement(section, ruleOfSection(dialect, section.name));
  if (need === 'children' && section.childCount === 0) throw emptySection(section);
  if (section.name === 'agent') readAgent(bytes, section, loaded);
  if (section.name !== 'client') return;
  if (dialect === '4') readClient(bytes, section, loaded);
  else readClientFallback(bytes, section, loaded);
}

function ruleOfSection(dialect: Dialect, name: string): number {
  if (dialect === '5') return leftFromFour.has(name) ? 88 : 69;
  return name === 'agent' ? 90 : 69;
}

function judge(bytes: Uint8Array, loaded: Loaded, roots: readonly Element[]): ConfigReading {
  const positions = new Positions(bytes);
  const servers = loaded.servers.map((server) => {
    const { start, end } = server.element;
    return { ...server, start, end, ...positions.at(start) };
  });
  const { enrollment, verification, notifyTime, timeReconnect } = loaded;
  const readable = { servers, enrollment, verification, notifyTime, timeReconnect, roots };
  const [first] = servers;
  if (first === undefined) {
    return { kind: 'no_server', problem: locate(bytes, noServer(roots)), ...readable };
  }
  if (servers.every((server) => isPlaceholder(server.address))) {
    const problem = locate(bytes, onlyPlaceholders(first));
    return { kind: 'placeholder_only', problem, ...readable };
  }
  return { kind: 'starts', ...readable };
}

function locate(bytes: Uint8Array, complaint: Complaint): Problem {
  return { ...new Positions(bytes).at(complaint.offset), ...complaint };
}

function noServer(roots: readonly Element[]): Complaint {
  return {
    offset: roots[0]?.start ?? 0,
    said: '(4105): No valid server IP found.',
    fix: 'add <client><server><address>…</address></server></client> (5.x: <agent><server>)',
    ruleNumber: roots.length === 0 ? 10 : 9,
  };
}

function onlyPlaceholders(first: ConfiguredServer): Complaint {
  return {
    offset: first.start,
    said: `(4112): Invalid server address found: '${first.address}'`,
    fix: 'a placeholder of an image: write the real managers',
    ruleNumber: 49,
  };
}

function emptySection(section: Element): Refusal {
  const said = `(1230): Invalid element in the configuration: '${section.name}'.`;
  const fix = `remove the empty <${section.name}> section, or fill it; comments do not count`;
  const ours = section.name === 'client' || section.name === 'agent';
  const selfClosed = section.valueEnd === section.end;
  const ruleOfOurs = selfClosed ? 8 : 7;
  const ruleNumber = ours ? ruleOfOurs : 69;
  return new Refusal({ offset: section.start, said, fix, ruleNumber });
}

function unknownElement(element: Element, ruleNumber: number): Refusal {
  const fix = `remove <${element.name}>: this agent version does not know it here`;
  return unknownName(element, fix, ruleNumber);
}
