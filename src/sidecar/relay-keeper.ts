/**
 * Keeps the loopback relay open while it may be: judged before it opens and now and then after,
 * because an operator may turn enrollment on meanwhile. A relay that may not be, or cannot listen,
 * is told with its reason, and the agent is led by its own list instead.
 */
import { type Clock, sleep } from '../clock.ts';
import { ConfigError, HostError, PilotfishError } from '../errors.ts';
import type { Log } from '../log.ts';
import { DatagramRelay } from '../relay/datagram-relay.ts';
import type { RelayPermission } from '../relay/guard.ts';
import type {
  ListenAddress,
  ListenPlace,
  RelayEvent,
  RelayManager,
  RelayNetwork,
  SessionSample,
} from '../relay/ports.ts';
import { Relay } from '../relay/relay.ts';
import type { RelaySettings } from '../relay/settings.ts';
import type { AgentPeer } from '../wazuh/agent-facts.ts';
import type { Bell } from './bell.ts';
import type { RelaySeen } from './seen.ts';
import type { RelayView } from './world.ts';

export interface RelayParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly bell: Bell;
  readonly network: RelayNetwork;
  readonly settings: RelaySettings;
  readonly place: ListenPlace;
  /** Rejects with a PilotfishError where the facts cannot be had. */
  judge(): Promise<RelayPermission>;
  /** The enrollment port beside it, while we run; undefined where somebody better holds it. */
  hold(): Promise<{ close(): Promise<void> } | undefined>;
  /** What the managers of the list speak now. */
  protocol(): 'tcp' | 'udp';
  /** Best first; empty: none is up. */
  choose(): readonly RelayManager[];
  /** See `RelayPorts.admission`. */
  admission(managerId: string, lostForMs: number, leftMs?: number): number;
  /** See `RelayPorts.patienceMs`. */
  patienceMs(): number;
  /** See `RelayPorts.isCrowd`. */
  isCrowd(): boolean;
  /** Something is wrong with it, whatever the last probe said. */
  suspect(managerId: string, why: string): void;
}

export interface RelayKeeper extends RelayView {
  /** Resolves when it is known for the first time whether there is a relay. */
  readonly opened: Promise<void>;
  /** Until `signal` aborts; then every session is ended gently. */
  run(signal: AbortSignal): Promise<void>;
}

const judgeAgainMs = 60_000;
/** After a failure; a sidecar that was just replaced may still hold the port for a moment. */
const tryAgainMs = 5_000;
const refusedLogEveryMs = 60_000;

export function buildRelayKeeper(parts: RelayParts): RelayKeeper {
  return new Keeper(parts);
}

class Keeper implements RelayKeeper {
  readonly opened: Promise<void>;
  readonly #parts: RelayParts;
  #tellOpened: () => void = () => undefined;
  #relay: Relay | DatagramRelay | undefined;
  #protocol: 'tcp' | 'udp' | undefined;
  #at: ListenAddress | undefined;
  #guard: { close(): Promise<void> } | undefined;
  #seen: RelaySeen = { kind: 'refused', code: 'E043', why: 'not opened yet' };
  #complained = '';
  /** Wall clock, by session: of those that stand. */
  readonly #openedAtMs = new Map<number, number>();
  /** When the agent was last turned away; it goes on to its own entries then. */
  #turnedAtMs: number | undefined;
  #refusedAtMs = Number.NEGATIVE_INFINITY;
  /** An inherited socket outlives a refusal: whoever dials is sent away, never kept waiting. */
  #isBarred = false;

  constructor(parts: RelayParts) {
    this.#parts = parts;
    this.opened = new Promise((resolve) => {
      this.#tellOpened = resolve;
    });
  }

  seen(peers: readonly AgentPeer[]): RelaySeen {
    if (this.#seen.kind !== 'open') return this.#seen;
    const { port } = this.#seen;
    const ends = peers.flatMap((peer) => (peer.port === port ? [peer.localPort] : []));
    const session = sessionOf(this.#relay?.sessions ?? [], ends);
    if (session !== undefined) return { ...this.#seen, ...this.#leadOf(session) };
    const { admitsInMs, keepsForMs }: Partial<Pick<Relay, 'admitsInMs' | 'keepsForMs'>> =
      this.#relay instanceof Relay ? this.#relay : {};
    const nowMs = this.#parts.clock.nowMs();
    const refused = this.#turnedAtMs === undefined ? {} : { refusedAtMs: this.#turnedAtMs };
    if (keepsForMs !== undefined) return { ...this.#seen, keptUntilMs: nowMs + keepsForMs };
    if (admitsInMs !== undefined) return { ...this.#seen, admitsAtMs: nowMs + admitsInMs };
    return { ...this.#seen, ...refused };
  }

  #leadOf({ session: number, managerId, address }: SessionSample) {
    const openedAtMs = this.#openedAtMs.get(number) ?? 0;
    return { managerId, session: { number, address, openedAtMs } };
  }

  switchAway(managerId: string, why: 'failed' | 'planned'): void {
    this.#relay?.switchAway(managerId, why);
  }

  endSession(session: number, why: 'failed' | 'planned'): void {
    this.#relay?.endSession(session, why);
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        if (this.#protocol !== undefined && this.#protocol !== this.#wantedProtocol) {
          await this.#close(); // another list, other sockets
          this.#seen = {
            kind: 'refused',
            code: 'E043',
            why: 'the managers changed their protocol',
          };
        }
        const refusal = await this.#refusal();
        if (refusal !== undefined) await this.#refuse(refusal);
        else if (this.#seen.kind !== 'open') await this.#open();
        this.#tellOpened();
        const waitMs = this.#seen.kind === 'open' ? judgeAgainMs : tryAgainMs;
        await sleep(this.#parts.clock, waitMs, signal);
      }
    } finally {
      this.#tellOpened();
      await this.#close();
    }
  }

  /** A socket that is kept for us speaks TCP, whatever the list does. */
  get #wantedProtocol(): 'tcp' | 'udp' {
    return this.#isKept ? 'tcp' : this.#parts.protocol();
  }

  get #isKept(): boolean {
    return this.#parts.place.kind === 'inherited';
  }

  async #refusal(): Promise<PilotfishError | undefined> {
    if (this.#wantedProtocol !== this.#parts.protocol()) {
      return new HostError(
        'listen_failed',
        'a relay for UDP takes no socket of the service manager',
      );
    }
    try {
      const permission = await this.#parts.judge();
      if (permission.kind === 'allowed') return undefined;
      return new ConfigError('relay_refused', `${permission.why}: ${permission.text}`);
    } catch (thrown) {
      return planned(thrown);
    }
  }

  async #open(): Promise<void> {
    try {
      const { address, port } = await this.#listen();
      this.#isBarred = false;
      this.#guard ??= await this.#parts.hold();
      const protocol = this.#protocol === 'udp' ? { protocol: this.#protocol } : {};
      this.#seen = { kind: 'open', address, port, ...protocol };
      this.#complained = '';
      this.#parts.log.info('relay.opened', { address, port });
    } catch (thrown) {
      await this.#refuse(planned(thrown));
    }
  }

  /** Once: an inherited socket cannot be opened again. */
  async #listen(): Promise<ListenAddress> {
    if (this.#at !== undefined) return this.#at;
    const { clock, network, settings, place, admission } = this.#parts;
    const choose = (): readonly RelayManager[] => (this.#isBarred ? [] : this.#parts.choose());
    const patienceMs = (): number => (this.#isBarred ? 0 : this.#parts.patienceMs());
    const report = (event: RelayEvent): void => this.#report(event);
    const isCrowd = (): boolean => this.#parts.isCrowd();
    const ports = { clock, network, choose, admission, patienceMs, isCrowd, report };
    const protocol = this.#wantedProtocol;
    const relay =
      protocol === 'udp' ? new DatagramRelay(ports, settings) : new Relay(ports, settings);
    this.#at = await relay.open(place);
    this.#relay = relay;
    this.#protocol = protocol;
    return this.#at;
  }

  async #refuse({ code, message }: PilotfishError): Promise<void> {
    await this.#bar();
    this.#seen = { kind: 'refused', code, why: message };
    const text = `${code} ${message}`;
    if (text !== this.#complained) this.#parts.log.error('relay.refused', { code, message });
    this.#complained = text;
    this.#parts.bell.ring();
  }

  /** Nobody comes in any more. A port of our own is given back, one that is kept for us answers no. */
  async #bar(): Promise<void> {
    if (!this.#isKept) return this.#close();
    this.#isBarred = true;
    await this.#listen().catch(() => undefined); // the refusal that is told is the first one
    const inUse = new Set(this.#relay?.sessions.map(({ managerId }) => managerId));
    for (const id of inUse) this.#relay?.switchAway(id, 'planned');
  }

  async #close(): Promise<void> {
    const [relay, guard] = [this.#relay, this.#guard];
    this.#relay = undefined;
    this.#at = undefined;
    this.#protocol = undefined;
    this.#guard = undefined;
    await relay?.close();
    await guard?.close();
  }

  #report(event: RelayEvent): void {
    const { log, clock, suspect, bell } = this.#parts;
    switch (event.kind) {
      case 'suspect':
        suspect(event.managerId, `the relay: ${event.why.replaceAll('_', ' ')}`);
        return;
      case 'closed':
        this.#openedAtMs.delete(event.session);
        log.debug('relay.closed', event);
        return;
      case 'connected':
        this.#openedAtMs.set(event.session, clock.nowMs());
        this.#turnedAtMs = undefined;
        log.info('relay.connected', { manager: event.managerId, skipped: event.skipped.join() });
        bell.ring();
        return;
      case 'refused':
        if (event.why === 'replaced') return; // a later connection of the agent waits instead
        if (event.why !== 'not_loopback') this.#turnedAtMs = clock.nowMs();
        if (clock.monotonicMs() - this.#refusedAtMs < refusedLogEveryMs) return;
        this.#refusedAtMs = clock.monotonicMs();
        log.warn('relay.no_manager', { why: event.why, tried: event.tried.join() });
        return;
      default:
        log.debug(`relay.${event.kind}`, event);
    }
  }
}

/**
 * Any user here may dial the relay. The kernel knows which end is the agent's, over TCP; else no
 * manager answers whoever has no key of an agent, and the newest is the likeliest.
 */
function sessionOf(
  sessions: readonly SessionSample[],
  agentEnds: readonly (number | undefined)[],
): SessionSample | undefined {
  const isAgents = ({ agentPort }: SessionSample): boolean => agentEnds.includes(agentPort);
  const isAnswered = (session: SessionSample): boolean => session.isAnswered;
  return sessions.findLast(isAgents) ?? sessions.findLast(isAnswered) ?? sessions.at(-1);
}

function planned(thrown: unknown): PilotfishError {
  if (thrown instanceof PilotfishError) return thrown;
  throw thrown;
}
