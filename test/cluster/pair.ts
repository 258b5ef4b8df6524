/** Two sessions talking without a socket, and the small fakes that tests here share. */
import type { Random } from '../../src/clock.ts';
import type { Output } from '../../src/cluster/session/output.ts';
import { Session } from '../../src/cluster/session/session.ts';
import type { SessionOptions } from '../../src/cluster/session/state.ts';
import type { Role } from '../../src/cluster/wire/command.ts';
import { encodeMessage } from '../../src/cluster/wire/message.ts';
import { createSeal, type Seal } from '../../src/cluster/wire/seal.ts';

export const seal = createSeal('abcdefghijklmnopQRSTUVWXYZ012345');

/** Deterministic bytes: every run of a test draws the same. */
export class CountingRandom implements Random {
  #state: number;

  constructor(seed = 1) {
    this.#state = seed;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => Math.floor(this.fraction() * 256));
  }

  fraction(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#state / 2 ** 32;
  }
}

export function newSession(role: Role, more: Partial<SessionOptions> = {}): Session {
  const random = new CountingRandom(role.length);
  return new Session({ role, seal, random, openedAtMs: 0, wallOffsetMs: 1e12, ...more });
}

/** The bytes of one sealed request, as any holder of the key could send it. */
export function wireBytes(
  counter: number,
  word: string,
  payload: Uint8Array | string,
  using: Seal = seal,
): Buffer {
  const plain = Buffer.from(payload);
  const salt = { iv: new Uint8Array(16).fill(counter % 251), unixSeconds: 1_700_000_000 };
  return Buffer.concat(encodeMessage({ counter, word }, using.seal(plain, salt), plain.length));
}

export function sentBytes(outputs: readonly Output[]): Buffer {
  return Buffer.concat(outputs.flatMap((output) => (output.kind === 'send' ? [output.bytes] : [])));
}

export function ofKind<Kind extends Output['kind']>(
  outputs: readonly Output[],
  kind: Kind,
): readonly Extract<Output, { kind: Kind }>[] {
  return outputs.filter(
    (output): output is Extract<Output, { kind: Kind }> => output.kind === kind,
  );
}

/** What a session sent, opened: counter, word, text. */
export function opened(
  outputs: readonly Output[],
): readonly { readonly counter: number; readonly word: string; readonly text: string }[] {
  return ofKind(outputs, 'send').map(({ bytes }) => ({
    counter: bytes.readUInt32BE(0),
    word: bytes.toString('latin1', 8, 19).split(' ')[0] ?? '',
    text: seal.open(bytes.subarray(20)).toString('utf8'),
  }));
}

/** A master that has admitted `worker1`. */
export function readyMaster(more: Partial<SessionOptions> = {}): Session {
  const master = newSession('master', more);
  const [hello] = ofKind(
    master.receive(wireBytes(1, 'hello', 'worker1 wazuh worker 4.14.8'), 0),
    'asked',
  );
  master.admit(hello?.counter ?? 0, { mustBeOurs: false }, 0);
  return master;
}

/** Carry bytes from `start`, which `from` produced, back and forth until both are quiet. */
export function converse(
  from: Session,
  to: Session,
  start: readonly Output[],
): { readonly from: readonly Output[]; readonly to: readonly Output[] } {
  const seen = { from: [...start], to: [] as Output[] };
  let moving = sentBytes(start);
  for (let turn = 0; moving.length > 0 && turn < 50; turn++) {
    const atTo = to.receive(moving, 0);
    const atFrom = from.receive(sentBytes(atTo), 0);
    seen.to.push(...atTo);
    seen.from.push(...atFrom);
    moving = sentBytes(atFrom);
  }
  return seen;
}
