/** The relay put together from real parts, and what this host says about whether it may be. */
import { lookup } from 'node:dns/promises';
import { dialectOf } from '../agent-config/dialect.ts';
import { contentOf, type Element } from '../agent-config/element.ts';
import { type ConfigReading, readConfig } from '../agent-config/servers.ts';
import { AgentError, HostError } from '../errors.ts';
import { openAgent } from '../host/agent-platform.ts';
import { inheritedSocket } from '../host/inherited-socket.ts';
import { closesAtOnce, holdPort, readHolder, readPortFacts } from '../host/relay-guard.ts';
import { relayNetwork } from '../host/relay-sockets.ts';
import { readAgentFile } from '../host/sidecar-files.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import { relayProtocolOf } from '../list/relay-protocol.ts';
import {
  type EnrollmentFacts,
  judgeRelay,
  type PortFacts,
  type RelayPermission,
} from '../relay/guard.ts';
import type { ListenPlace } from '../relay/ports.ts';
import { defaultRelaySettings } from '../relay/settings.ts';
import { judgeAlias, ledByRestart } from '../relay/tls.ts';
import type { Bell } from '../sidecar/bell.ts';
import { isCrowd } from '../sidecar/decide-slot.ts';
import type { HealthWatch } from '../sidecar/health-watch.ts';
import { admissionWaitMs, chooseManagers, patienceMs } from '../sidecar/relay-choice.ts';
import { buildRelayKeeper, type RelayKeeper } from '../sidecar/relay-keeper.ts';
import type { RankedList } from '../sidecar/seen.ts';
import type { Rooms } from './build-sidecar-rooms.ts';

/** What the last cycle knew; the relay reads it at every connection. */
export interface RelayBoard {
  list: RankedList | undefined;
}

export interface RelayCompany {
  readonly bell: Bell;
  readonly watch: HealthWatch;
  readonly board: RelayBoard;
}

/** Undefined where no relay is configured. */
export function openRelayKeeper(
  rooms: Rooms,
  { bell, watch, board }: RelayCompany,
): RelayKeeper | undefined {
  const { config, log } = rooms;
  if (config.apply.mode !== 'relay') return undefined;
  const { standby } = config.relay;
  const place = placeOf(config);
  const desk = new EnrollmentDesk(rooms, place.kind === 'inherited');
  return buildRelayKeeper({
    clock,
    log,
    bell,
    network: relayNetwork,
    settings: { ...defaultRelaySettings, standby },
    place,
    judge: () => desk.judge(),
    hold: () => desk.hold(),
    protocol: () => relayProtocolOf(board.list?.list.managers ?? []),
    choose: () => {
      const { agentId } = rooms.place;
      return chooseManagers(agentId, board.list?.ranking ?? [], watch.snapshot(), clock.nowMs());
    },
    admission: (managerId, lostForMs, leftMs) => {
      const { list } = board;
      if (list === undefined) return 0;
      const { agentId } = rooms.place;
      const ground = { agentId, list, health: watch.snapshot(), nowMs: clock.nowMs() };
      return admissionWaitMs(ground, managerId, lostForMs, leftMs);
    },
    patienceMs: () => patienceMs(board.list?.ranking ?? [], watch.snapshot()),
    isCrowd: () => board.list !== undefined && isCrowd(board.list),
    suspect: (managerId, why) => watch.suspect(managerId, why),
  });
}

/** May this agent be pointed at a relay here? For `doctor`, beside whatever runs. */
export function judgeRelayHere(rooms: Rooms): Promise<RelayPermission> {
  return new EnrollmentDesk(rooms, inheritedSocket('relay') !== undefined).judge();
}

/** A socket of the service manager comes first: it outlives us, so the agent waits instead of leaving. */
function placeOf({ relay: { address, port, inheritedFd } }: Rooms['config']): ListenPlace {
  const fd = inheritedFd ?? inheritedSocket('relay');
  if (fd === undefined) return { kind: 'address', address, port };
  return { kind: 'inherited', fd, expected: { address, port } };
}

/** The door beside the relay: an agent whose handshake fails enrols at the same address. */
class EnrollmentDesk {
  readonly #rooms: Rooms;
  readonly #isInherited: boolean;
  #port: number | undefined;
  #isHeldByUs = false;

  constructor(rooms: Rooms, isInherited: boolean) {
    this.#rooms = rooms;
    this.#isInherited = isInherited;
  }

  async judge(): Promise<RelayPermission> {
    const { home, config } = this.#rooms;
    const bytes = await readAgentFile(home.configPath);
    if (bytes === 'missing') throw new HostError('not_found', `${home.configPath} is not there`);
    if (!(bytes instanceof Uint8Array)) throw new HostError('not_found', bytes.why);
    const { version } = await openAgent(home, clock).readFacts();
    const dialect = dialectOf(version);
    const reading = readConfig(bytes, dialect);
    if (reading.kind === 'refused') {
      throw new AgentError(
        'config_unparseable',
        `line ${reading.problem.line}: ${reading.problem.said}`,
      );
    }
    if (dialect === '5') return judgeFive(reading);
    const enrollment = await this.#enrollmentFacts(bytes, reading);
    this.#port = enrollment.enabled ? enrollment.port : undefined;
    return judgeRelay(config.relay.port, enrollment, this.#portFacts());
  }

  /** So that an enrollment that is tried here all the same fails at once, not after a time-out. */
  async hold(): Promise<{ close(): Promise<void> } | undefined> {
    const at = { address: this.#rooms.config.relay.address, port: this.#port ?? 0 };
    if (at.port === 0 || readHolder(at, false) !== 'nobody') return undefined;
    const held = await holdPort(at).catch(() => undefined);
    this.#isHeldByUs = held !== undefined;
    return held;
  }

  /** A socket that the service manager keeps is nobody else's while we are down, whatever its port. */
  #portFacts(): PortFacts {
    const facts = readPortFacts();
    return this.#isInherited ? { ...facts, mayBindPrivileged: false } : facts;
  }

  async #enrollmentFacts(bytes: Uint8Array, reading: Readable): Promise<EnrollmentFacts> {
    const { enabled, port = 1515 } = reading.enrollment;
    const at = { address: this.#rooms.config.relay.address, port };
    const holder = readHolder(at, this.#isHeldByUs);
    const isGuarded = holder === 'root' && (await closesAtOnce(clock, at, guardMs));
    return {
      enabled,
      port,
      serverCaVerified: hasServerCa(bytes, reading),
      holder,
      closesAtOnce: isGuarded,
    };
  }
}

type Readable = Exclude<ConfigReading, { kind: 'refused' }>;

const guardMs = 1_000;

/** `<client><enrollment><server_ca_path>`: the agent enrols only where that authority vouches. */
function hasServerCa(bytes: Uint8Array, { roots }: Readable): boolean {
  const named = (elements: readonly Element[], name: string): readonly Element[] =>
    elements.flatMap(({ children }) => children.filter((child) => child.name === name));
  const paths = named(named(named(roots, 'client'), 'enrollment'), 'server_ca_path');
  const last = paths.at(-1); // the last value wins
  return last !== undefined && contentOf(bytes, last) !== '';
}

/** A 5.x agent verifies the name it dials, so an address of ours must hide behind the managers' own. */
async function judgeFive({ servers, verification }: Readable): Promise<RelayPermission> {
  const dialled = servers[0]?.address ?? '';
  const found = await lookup(dialled, { all: true, order: 'verbatim' }).catch(() => []);
  const addresses = found.map(({ address }) => address);
  return judgeAlias({ verification, dialled, addresses }) ?? ledByRestart(dialled);
}
