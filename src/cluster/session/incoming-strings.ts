/**
 * Strings that the peer uploads to us (cluster-protocol.md 3.1): reserve, append, take. Small
 * ones stay in memory, which grows as bytes arrive; large ones, and small ones above the common
 * budget, leave as store steps. A stock node never checks completeness; `take` does.
 */
import { type Fault, fault } from '../wire/fault.ts';
import { Gather } from '../wire/gather.ts';
import { pythonBytes } from '../wire/payload-text.ts';
import type { StoreStep } from './output.ts';

export interface StringLimits {
  readonly stringBytes: number;
  readonly stringMemoryBytes: number;
  readonly stringsMemoryBytes: number;
  readonly strings: number;
  readonly transferIdleMs: number;
  readonly evictIdleMs: number;
}

/** A finished string: its bytes, or the number under which the driver stored them. */
export type TakenString =
  | { readonly kind: 'memory'; readonly bytes: Buffer }
  | { readonly kind: 'stored'; readonly transfer: number; readonly sizeBytes: number };

interface IncomingString {
  readonly sizeBytes: number;
  readonly body: Gather | { readonly transfer: number };
  receivedBytes: number;
  touchedAtMs: number;
}

/** Where a string goes is decided by its announced size, before its first byte. */
export type Reserved =
  | { readonly kind: 'reserved'; readonly id: string; readonly steps: readonly StoreStep[] }
  | { readonly kind: 'too_big' }
  | { readonly kind: 'fault'; readonly fault: Fault };

export class IncomingStrings {
  readonly #limits: StringLimits;
  readonly #draw: () => number;
  readonly #strings = new Map<string, IncomingString>();
  #memoryBytes = 0;

  /** `draw` gives random unsigned 32-bit numbers. */
  constructor(limits: StringLimits, draw: () => number) {
    this.#limits = limits;
    this.#draw = draw;
  }

  reserve(sizeBytes: number, transfer: () => number, nowMs: number): Reserved {
    if (sizeBytes > this.#limits.stringBytes) return { kind: 'too_big' };
    const before = this.#makeRoom(nowMs);
    if (this.#strings.size >= this.#limits.strings) {
      return { kind: 'fault', fault: fault(1000, 'too many unread strings on this connection') };
    }
    const isSmall =
      sizeBytes <= this.#limits.stringMemoryBytes &&
      this.#memoryBytes + sizeBytes <= this.#limits.stringsMemoryBytes;
    const body = isSmall ? new Gather() : { transfer: transfer() };
    if (isSmall) this.#memoryBytes += sizeBytes;
    const id = this.#newId();
    this.#strings.set(id, { sizeBytes, body, receivedBytes: 0, touchedAtMs: nowMs });
    const steps: StoreStep[] =
      body instanceof Gather ? [] : [{ action: 'open', transfer: body.transfer }];
    return { kind: 'reserved', id, steps: [...before, ...steps] };
  }

  /** Bytes beyond the announced size are dropped, as stock does. */
  append(id: string, bytes: Uint8Array, nowMs: number): readonly StoreStep[] | Fault {
    const open = this.#strings.get(id);
    if (open === undefined) return fault(1000, pythonBytes(Buffer.from(id)));
    const taken = bytes.subarray(0, open.sizeBytes - open.receivedBytes);
    open.receivedBytes += taken.length;
    open.touchedAtMs = nowMs;
    if (open.body instanceof Gather) {
      open.body.append(taken, open.sizeBytes);
      return [];
    }
    if (taken.length === 0) return [];
    const { transfer } = open.body;
    const append: StoreStep = { action: 'append', transfer, bytes: taken };
    const isDone = open.receivedBytes === open.sizeBytes;
    return isDone ? [append, { action: 'close', transfer }] : [append];
  }

  /** Give up a reservation of this size that received nothing; its id, or undefined. */
  dropUnused(
    sizeBytes: number,
  ): { readonly id: string; readonly steps: readonly StoreStep[] } | undefined {
    for (const [id, open] of this.#strings) {
      if (open.sizeBytes !== sizeBytes || open.receivedBytes > 0) continue;
      return { id, steps: this.#remove(id, open) };
    }
    return undefined;
  }

  /** Hand a complete string to its consumer and forget it. Undefined: unknown or incomplete. */
  take(id: string): TakenString | undefined {
    const open = this.#strings.get(id);
    if (open === undefined || open.receivedBytes < open.sizeBytes) return undefined;
    this.#forget(id, open);
    if (open.body instanceof Gather) return { kind: 'memory', bytes: open.body.take() };
    return { kind: 'stored', transfer: open.body.transfer, sizeBytes: open.sizeBytes };
  }

  /** Steps that drop what nobody continued or took; with infinite time, everything. */
  expire(nowMs: number): readonly StoreStep[] {
    const untilMs = nowMs - this.#limits.transferIdleMs;
    const old = [...this.#strings].filter(([, open]) => open.touchedAtMs <= untilMs);
    return old.flatMap(([id, open]) => this.#remove(id, open));
  }

  /** The driver could not store a step: the string is lost; the peer hears of it. */
  failed(transfer: number): readonly StoreStep[] {
    for (const [id, open] of this.#strings) {
      if (open.body instanceof Gather || open.body.transfer !== transfer) continue;
      return this.#remove(id, open);
    }
    return [];
  }

  get size(): number {
    return this.#strings.size;
  }

  /** With all places taken, the string that idles longest goes, if it idles long enough. */
  #makeRoom(nowMs: number): readonly StoreStep[] {
    if (this.#strings.size < this.#limits.strings) return [];
    const [idlest] = [...this.#strings].sort(([, a], [, b]) => a.touchedAtMs - b.touchedAtMs);
    if (idlest === undefined) return [];
    const [id, open] = idlest;
    return nowMs - open.touchedAtMs >= this.#limits.evictIdleMs ? this.#remove(id, open) : [];
  }

  #newId(): string {
    for (;;) {
      const id = String(this.#draw());
      if (!this.#strings.has(id)) return id;
    }
  }

  #forget(id: string, open: IncomingString): void {
    this.#strings.delete(id);
    if (open.body instanceof Gather) this.#memoryBytes -= open.sizeBytes;
  }

  #remove(id: string, open: IncomingString): readonly StoreStep[] {
    this.#forget(id, open);
    return open.body instanceof Gather ? [] : [{ action: 'drop', transfer: open.body.transfer }];
  }
}
