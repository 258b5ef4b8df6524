/**
 * The newest changes of `client.keys`, small enough to lie in the engine: whoever has one of the
 * contents that they begin with can make the newest one of it. The inserted text holds secrets of
 * agents, so it is sealed with the cluster key, which every node that may read the file has.
 * A chain proves itself: the result is taken only when its digest is the one on record. Pure.
 */
import { createHash } from 'node:crypto';
import { digestOf } from './client-keys.ts';

/** One change: at byte `at`, `drop` bytes go and the sealed text comes. */
export interface KeysStep {
  /** Digests of the file before and after. */
  readonly from: string;
  readonly to: string;
  readonly at: number;
  readonly drop: number;
  readonly sealed: string;
}

/** Port: the seal of the cluster. `open` throws for what another key sealed. */
export interface TextSeal {
  seal(plaintext: Uint8Array): string;
  open(sealed: string): Buffer;
}

const mostSteps = 64;
const mostGrownLines = 4_096;
const mostSealedCharacters = 192 * 1024;

/** The newest steps that fit, `after` included; none when the change itself does not. */
export function addStep(
  steps: readonly KeysStep[],
  before: Buffer,
  after: Buffer,
  seal: TextSeal,
): readonly KeysStep[] {
  const { at, drop, insert } = differenceOf(before, after);
  if (insert.length > mostSealedCharacters / 2) return [];
  const change = { from: digestOf(before), to: digestOf(after), at, drop };
  const all = [...steps, { ...change, sealed: seal.seal(insert) }].slice(-mostSteps);
  let length = all.reduce((sum, { sealed }) => sum + sealed.length, 0);
  let first = 0;
  while (length > mostSealedCharacters) length -= all[first++]?.sealed.length ?? 0;
  return all.slice(first);
}

/** The content with digest `wanted`, made of `bytes`; undefined when the steps do not lead there. */
export function completeKeys(
  bytes: Buffer,
  steps: readonly KeysStep[],
  wanted: string,
  seal: TextSeal,
): Buffer | undefined {
  let content = bytes;
  let digest = digestOf(content);
  for (let turn = 0; digest !== wanted && turn < mostSteps; turn += 1) {
    const step = steps.findLast(({ from }) => from === digest);
    if (step === undefined) return undefined;
    content = applied(content, step, seal);
    digest = digestOf(content);
    if (digest !== step.to) return undefined;
  }
  return digest === wanted ? content : undefined;
}

/** Did `bytes` once have the content with digest `earlier`, and only grow by whole lines since? */
export function hasGrownFrom(bytes: Buffer, earlier: string): boolean {
  let from = bytes.length;
  for (let line = 0; line < mostGrownLines && from > 0; line += 1) {
    from = bytes.lastIndexOf(0x0a, from - 2) + 1;
  }
  const hash = createHash('sha256').update(bytes.subarray(0, from));
  while (hash.copy().digest('hex') !== earlier) {
    if (from >= bytes.length) return false;
    const end = bytes.indexOf(0x0a, from) + 1 || bytes.length;
    hash.update(bytes.subarray(from, end));
    from = end;
  }
  return true;
}

function applied(bytes: Buffer, { at, drop, sealed }: KeysStep, seal: TextSeal): Buffer {
  return Buffer.concat([bytes.subarray(0, at), seal.open(sealed), bytes.subarray(at + drop)]);
}

function differenceOf(
  before: Buffer,
  after: Buffer,
): { readonly at: number; readonly drop: number; readonly insert: Buffer } {
  const shorter = Math.min(before.length, after.length);
  let at = 0;
  while (at < shorter && before[at] === after[at]) at += 1;
  let same = 0;
  while (
    same < shorter - at &&
    before[before.length - 1 - same] === after[after.length - 1 - same]
  ) {
    same += 1;
  }
  const insert = after.subarray(at, after.length - same);
  return { at, drop: before.length - same - at, insert };
}
