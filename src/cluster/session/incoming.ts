/**
 * The commands that the session serves by itself, as a table: echoes, strings, files, cancelled
 * tasks. Answers are stock's, word by word (cluster-protocol.md 2.1.1).
 */
import {
  addressesWord,
  answerWords,
  leavingWord,
  type Payload,
  type SessionCommand,
  spacedAnswers,
} from '../wire/command.ts';
import { type Fault, fault } from '../wire/fault.ts';
import type { SessionLimits } from '../wire/limits.ts';
import { encodeFault } from '../wire/wazuh-json.ts';
import {
  type FileOutcome,
  IncomingFiles,
  type KeptFile,
  type TakenFile,
} from './incoming-files.ts';
import { IncomingStrings, type TakenString } from './incoming-strings.ts';
import type { Output, StoreStep } from './output.ts';

/** What to answer, once `steps` are stored. */
export interface Served {
  readonly word: string;
  readonly payload: Uint8Array | string;
  readonly steps?: readonly StoreStep[];
  readonly also?: Output;
}

type Serve<Name extends SessionCommand> = (value: Payload<Name>, nowMs: number) => Served;

export class Incoming {
  readonly #strings: IncomingStrings;
  readonly #files: IncomingFiles;
  #transfer = 0;
  readonly #nextTransfer = (): number => ++this.#transfer;

  /** `draw` gives random unsigned 32-bit numbers. */
  constructor(limits: SessionLimits, draw: () => number, kept?: KeptFile) {
    this.#strings = new IncomingStrings(limits, draw);
    this.#files = new IncomingFiles(limits, kept);
  }

  /** Both ends can go on with an upload that a link before this one began. */
  allowResume(): void {
    this.#files.allowResume();
  }

  /** After `finish`. */
  get kept(): KeptFile | undefined {
    return this.#files.kept;
  }

  serve<Name extends SessionCommand>(name: Name, value: Payload<Name>, nowMs: number): Served {
    return this.#table[name](value, nowMs);
  }

  takeString(id: string): TakenString | undefined {
    return this.#strings.take(id);
  }

  takeFile(path: string): TakenFile | undefined {
    return this.#files.take(path);
  }

  /** A step was stored. */
  stored(step: StoreStep): void {
    if (step.action === 'close') this.#files.closed(step.transfer);
  }

  /** A step could not be stored: its transfer is given up. */
  failed(step: StoreStep): readonly StoreStep[] {
    return [...this.#files.failed(step.transfer), ...this.#strings.failed(step.transfer)];
  }

  get isEmpty(): boolean {
    return this.#strings.size === 0 && this.#files.size === 0;
  }

  expire(nowMs: number): readonly StoreStep[] {
    return [...this.#strings.expire(nowMs), ...this.#files.expire(nowMs)];
  }

  /** The link ended. */
  finish(): readonly StoreStep[] {
    return [...this.#strings.expire(Number.POSITIVE_INFINITY), ...this.#files.finish()];
  }

  readonly #table: { readonly [Name in SessionCommand]: Serve<Name> } = {
    echo: (bytes) => ({ word: answerWords.ok, payload: bytes }),
    keepAlive: (bytes) => ({
      word: spacedAnswers.masterEcho,
      payload: bytes,
      also: aliveOutput(bytes),
    }),
    echoMaster: (bytes) => ({ word: spacedAnswers.workerEcho, payload: bytes }),
    reserveString: (sizeBytes, nowMs) => {
      const reserved = this.#strings.reserve(sizeBytes, this.#nextTransfer, nowMs);
      if (reserved.kind === 'fault') return refused(reserved.fault);
      if (reserved.kind === 'too_big') {
        // Stock's slip: not `err` but `error`.
        const payload = 'Requested size exceeds maximum allowed limit';
        return { word: answerWords.slip, payload };
      }
      return { word: answerWords.ok, payload: reserved.id, steps: reserved.steps };
    },
    appendString: ({ stringId, bytes }, nowMs) => {
      const steps = this.#strings.append(stringId, bytes, nowMs);
      if (!isSteps(steps)) return refused(steps);
      return { word: answerWords.ok, payload: 'String updated', steps };
    },
    dropString: (sizeBytes) => {
      const dropped = this.#strings.dropUnused(sizeBytes);
      return { word: answerWords.ok, payload: dropped?.id ?? 'None', steps: dropped?.steps ?? [] };
    },
    openFile: (path, nowMs) =>
      fileServed(this.#files.open(path, this.#nextTransfer, nowMs), {
        word: spacedAnswers.fileOpened,
        payload: 'Ready to receive new file',
      }),
    appendFile: ({ path, bytes }, nowMs) =>
      fileServed(this.#files.append(path, bytes, nowMs), {
        word: answerWords.ok,
        payload: 'File updated',
      }),
    endFile: ({ path, digest }, nowMs) =>
      fileServed(this.#files.end(path, digest, nowMs), {
        word: answerWords.ok,
        payload: 'File received correctly',
      }),
    cancelTask: ({ taskId, fault: reason }) => ({
      word: answerWords.ok,
      payload: 'Request received correctly',
      also: { kind: 'cancelled', taskId, fault: reason },
    }),
  };
}

function isSteps(value: readonly StoreStep[] | Fault): value is readonly StoreStep[] {
  return Array.isArray(value);
}

function refused(reason: Fault, steps: readonly StoreStep[] = []): Served {
  return { word: answerWords.failed, payload: encodeFault(reason), steps };
}

function fileServed(outcome: FileOutcome, success: Served): Served {
  if (outcome.kind === 'fault') return refused(outcome.fault, outcome.steps);
  if (outcome.kind === 'steps') {
    const { steps, heldBytes } = outcome;
    return heldBytes === undefined
      ? { ...success, steps }
      : { ...success, payload: heldAnswer(heldBytes), steps };
  }
  return { word: answerWords.failed, payload: outcome.text, steps: outcome.steps };
}

/** To one of ours that opens an upload of which this much is here. */
function heldAnswer(bytes: number): string {
  return `Ready to receive from ${bytes}`;
}

/** How many bytes of the upload the peer holds; 0 for stock's answer. */
export function heldBytesIn(payload: Uint8Array): number {
  const [, digits] =
    /^Ready to receive from ([1-9][0-9]{0,14})$/.exec(Buffer.from(payload).toString('latin1')) ??
    [];
  return Number(digits ?? 0);
}

/** What the peer hears when a step could not be stored. */
export function storeFault(reason: string): Fault {
  return fault(1000, reason.slice(0, 256));
}

/** Nodes of ours say more by it than that they live; who else does is judged by the role. */
function aliveOutput(bytes: Uint8Array): Output {
  if (leavingWord.equals(bytes)) return { kind: 'leaving' };
  const isSaying = addressesWord.equals(bytes.subarray(0, addressesWord.length));
  return isSaying ? { kind: 'said', bytes: Buffer.from(bytes) } : { kind: 'alive' };
}
