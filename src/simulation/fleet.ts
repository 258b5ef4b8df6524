/**
 * Every agent with its sidecar, as columns: a million of them fit into memory. Objects of the
 * product (memory, health) are kept by reference and shared while they are equal.
 */
import type { Restart } from '../applier/budget.ts';
import type { Health } from '../health/judge.ts';
import type { Avoided } from '../relay/avoid.ts';
import type { Tried } from '../relay/patience.ts';
import type { Memory } from '../sidecar/memory.ts';

/** Where an agent is in its own loop. */
export const agentState = {
  connected: 0,
  /** The session looks alive and is not: detection is due at `agentAt`. */
  doomed: 1,
  /** The same with a full send buffer: the agent never looks (real-agent-lab.md 3b). */
  wedged: 2,
  connecting: 3,
  /** Accepted by something silent. */
  waiting: 4,
  /** In the accept queue of a live manager. */
  queued: 5,
  sleeping: 6,
  enrolling: 7,
  stopped: 8,
  /** In our relay: it waits for its admission, or for the manager that is being dialled. */
  held: 9,
  led: 10,
  /** The same, but nobody answers just now. */
  kept: 11,
} as const;

/** How the last handshake with a live manager ended, where another one had to follow. */
export const fates = {
  none: 0,
  /** The door was full: the kernel sends its SYN again, or the relay dials another one. */
  full: 1,
  /** The manager died, or fell silent, while the agent stood in its queue. */
  diedInQueue: 2,
  /** We restarted the agent while it stood there. */
  restarted: 3,
} as const;

/** In `lostSinceMs`: this sidecar process has not looked at the agent yet. */
export const neverLooked = Number.NEGATIVE_INFINITY;

export interface Restarted {
  readonly atMs: number;
  readonly isUrgentOne: boolean;
}

export class Fleet {
  readonly count: number;
  /** Columns per agent in `file`, `ranking`, `health`. */
  readonly width: number;
  readonly state: Uint8Array;
  /** Manager of the session, or the one being tried. */
  readonly on: Int8Array;
  /** Entry of what it loaded that the agent is at. */
  readonly cursor: Uint8Array;
  readonly tries: Uint8Array;
  readonly synStep: Uint8Array;
  readonly attemptAtMs: Float64Array;
  /** The one pending event of the agent's own loop; an event of another instant is stale. */
  readonly agentAtMs: Float64Array;
  /** The same for its sidecar. */
  readonly cycleAtMs: Float64Array;
  /** All managers were last asked then. */
  readonly askedAtMs: Float64Array;
  /** Its slot to leave a dead manager; NaN while it waits for none. */
  readonly slotAtMs: Float64Array;
  /** What speaks against its manager was told once: 0 nothing, 1 the loss, 2 the late ack. */
  readonly told: Uint8Array;
  readonly site: Uint8Array;
  /** NaN while the agent has a working session. */
  readonly awaySinceMs: Float64Array;
  /** Connections begun since then that reached a live manager: a SYN sent again is the same one. */
  readonly attempts: Uint16Array;
  /** Handshakes with live managers since we last led it somewhere, SYNs sent again included. */
  readonly knocks: Uint16Array;
  /** The connection that it is opening has reached a live manager. */
  readonly hasKnocked: Uint8Array;
  /** One of `fates`. */
  readonly fate: Uint8Array;
  /** It lost a session through a fault, not through a move of choice. */
  readonly isFailover: Uint8Array;
  /** Our restart sent it where it goes now. */
  readonly isDirected: Uint8Array;
  /** It was restarted by us since it lost its session. */
  readonly wasMoved: Uint8Array;
  readonly lastHeardMs: Float64Array;
  readonly clockOffsetMs: Float64Array;
  /** Its clock once went forward: the account of its restarts is no proof any more. */
  readonly hasJumped: Uint8Array;
  /** Wall clock, as the sidecar's loss watch has it; NaN while connected, see `neverLooked`. */
  readonly lostSinceMs: Float64Array;
  /** When its sidecar saw it find a manager again, by the host's clock; NaN without any loss. */
  readonly foundAtMs: Float64Array;
  readonly busyUntilMs: Float64Array;
  readonly downUntilMs: Float64Array;
  readonly pausedUntilMs: Float64Array;
  /** The next write is cut by: 0 nothing, 1 a kill, 2 a power cut. */
  readonly cutNextWrite: Uint8Array;
  /** A restart was begun and never finished. */
  readonly isUnfinished: Uint8Array;
  readonly isBudgetHeld: Uint8Array;
  /** Equal decisions in a row, and the last one. */
  readonly calm: Uint8Array;
  readonly lastChoice: Uint8Array;
  /** Manager numbers in ossec.conf; `fileLength` of them; not whole after a torn write. */
  readonly file: Int8Array;
  readonly fileLength: Uint8Array;
  /** The same as the running agent knows it: read at its start, a later write does not reach it. */
  readonly loaded: Int8Array;
  readonly loadedLength: Uint8Array;
  readonly isFileWhole: Uint8Array;
  /** This agent's order of list number `rankedList`. */
  readonly ranking: Int8Array;
  readonly rankingLength: Uint8Array;
  readonly rankedList: Int32Array;
  /** The first entry of the file, and of what the agent loaded, is our relay. */
  readonly fileHasRelay: Uint8Array;
  readonly loadedHasRelay: Uint8Array;
  /** Its session, or its try, is through our relay. */
  readonly isRelayed: Uint8Array;
  /** The manager that failed under its last session in the relay; -1 for none. */
  readonly relayLost: Int8Array;
  readonly relayLostAtMs: Float64Array;
  /** Managers that its relay asked in the pass under way, as bits, and since when it lasts. */
  readonly relayPass: Uint16Array;
  /** Whom it could have been led to when its admission was asked for, a bit each. */
  readonly heldFor: Uint16Array;
  readonly passAtMs: Float64Array;
  /** Whom its relay dialled in vain for this one connection; undefined for none. */
  readonly tried: (Tried | undefined)[];
  /** Its relay told the prober of these, as bits: they are asked now. */
  readonly suspects: Uint16Array;
  /** Wall clock; NaN when it was not turned away since it was last led on. */
  readonly turnedAtMs: Float64Array;
  readonly avoided: (Avoided | undefined)[];
  readonly memory: Memory[];
  readonly restarts: (readonly Restart[])[];
  /** The same in virtual time, for I5: the host's clock may lie. */
  readonly restarted: (readonly Restarted[])[];
  readonly health: (Health | undefined)[];
  /** What `chanceOf` of the real ranking says of every pair. */
  readonly chance: Float64Array;

  constructor(count: number, width: number) {
    this.count = count;
    this.width = width;
    const bytes = (): Uint8Array => new Uint8Array(count);
    const instants = (value: number): Float64Array => new Float64Array(count).fill(value);
    this.state = bytes();
    this.on = new Int8Array(count).fill(-1);
    this.cursor = bytes();
    this.tries = bytes();
    this.synStep = bytes();
    this.attemptAtMs = instants(0);
    this.agentAtMs = instants(Number.NaN);
    this.cycleAtMs = instants(Number.NaN);
    this.askedAtMs = instants(0);
    this.slotAtMs = instants(Number.NaN);
    this.told = bytes();
    this.site = bytes();
    this.awaySinceMs = instants(Number.NaN);
    this.attempts = new Uint16Array(count);
    this.knocks = new Uint16Array(count);
    this.hasKnocked = bytes();
    this.fate = bytes();
    this.isFailover = bytes();
    this.isDirected = bytes();
    this.wasMoved = bytes();
    this.lastHeardMs = instants(0);
    this.clockOffsetMs = instants(0);
    this.hasJumped = bytes();
    this.lostSinceMs = instants(Number.NaN);
    this.foundAtMs = instants(Number.NaN);
    this.busyUntilMs = instants(0);
    this.downUntilMs = instants(0);
    this.pausedUntilMs = instants(0);
    [this.cutNextWrite, this.isUnfinished, this.isBudgetHeld] = [bytes(), bytes(), bytes()];
    this.calm = bytes();
    this.lastChoice = bytes();
    this.file = new Int8Array(count * width).fill(-1);
    this.fileLength = bytes();
    this.loaded = new Int8Array(count * width).fill(-1);
    this.loadedLength = bytes();
    this.isFileWhole = bytes().fill(1);
    this.ranking = new Int8Array(count * width).fill(-1);
    this.rankingLength = bytes();
    this.rankedList = new Int32Array(count).fill(-1);
    this.fileHasRelay = bytes();
    this.loadedHasRelay = bytes();
    this.isRelayed = bytes();
    this.relayLost = new Int8Array(count).fill(-1);
    this.relayLostAtMs = instants(0);
    this.relayPass = new Uint16Array(count);
    this.heldFor = new Uint16Array(count);
    this.passAtMs = instants(0);
    this.tried = new Array(count);
    this.suspects = new Uint16Array(count);
    this.turnedAtMs = instants(Number.NaN);
    this.avoided = new Array(count);
    this.memory = new Array(count);
    this.restarts = new Array(count);
    this.restarted = new Array(count);
    this.health = new Array(count * width);
    this.chance = new Float64Array(count * width);
  }

  isAway(agent: number): boolean {
    return !Number.isNaN(this.awaySinceMs[agent] ?? Number.NaN);
  }

  /** The manager that entry `place` of the file names; -1 for none. */
  entry(agent: number, place: number): number {
    return place < (this.fileLength[agent] ?? 0)
      ? (this.file[agent * this.width + place] ?? -1)
      : -1;
  }

  /** A process that starts reads the file, and begins with its first entry. */
  load(agent: number): void {
    const start = agent * this.width;
    this.loaded.set(this.file.subarray(start, start + this.width), start);
    this.loadedLength[agent] = this.fileLength[agent] ?? 0;
    this.loadedHasRelay[agent] = this.fileHasRelay[agent] ?? 0;
    this.cursor[agent] = 0;
  }

  /** The running agent is at the entry of our relay. */
  isAtRelay(agent: number): boolean {
    return this.cursor[agent] === 0 && this.loadedHasRelay[agent] === 1;
  }

  /** Entries that the running agent walks, the relay's own included. */
  walkLength(agent: number): number {
    return (this.loadedLength[agent] ?? 0) + (this.loadedHasRelay[agent] ?? 0);
  }

  /** The manager of the entry that the running agent is at; -1 for none, and for the relay. */
  entryInUse(agent: number): number {
    const place = (this.cursor[agent] ?? 0) - (this.loadedHasRelay[agent] ?? 0);
    if (place < 0) return -1;
    return place < (this.loadedLength[agent] ?? 0)
      ? (this.loaded[agent * this.width + place] ?? -1)
      : -1;
  }

  /** The file names what the list does, in this agent's own order. */
  isOwnOrder(agent: number): boolean {
    const length = this.rankingLength[agent] ?? 0;
    if (this.fileLength[agent] !== length) return false;
    const start = agent * this.width;
    for (let place = start; place < start + length; place += 1) {
      if (this.file[place] !== this.ranking[place]) return false;
    }
    return true;
  }

  /** The file names exactly these, in this order. */
  isFiled(agent: number, order: readonly number[]): boolean {
    if (this.fileLength[agent] !== order.length) return false;
    const start = agent * this.width;
    return order.every((manager, place) => this.file[start + place] === manager);
  }
}

/** The agent's id in the product's sense. */
export function agentIdOf(agent: number): string {
  return String(agent + 1).padStart(3, '0');
}

/** Uniform in [0, 1) over (agent, salt): who belongs to a share. */
export function chanceOf(agent: number, salt: number): number {
  let mixed = Math.imul(agent + 0x9e3779b9, 0x85ebca6b) ^ Math.imul(salt + 1, 0xc2b2ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
  mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39);
  return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
}
