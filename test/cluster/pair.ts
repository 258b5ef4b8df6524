/** Two sessions talking without a socket, and the small fakes that tests here share. */
import type { Random } from '../../src/clock.ts';
import type { Asked, Output } from '../../src/cluster/session/output.ts';
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

/** Carry bytes between two sessions until both are quiet; everything else is returned. */
export function converse(
  left: Session,
  right: Session,
  start: readonly Output[],
  onAsked: (asked: Asked, by: Session) => readonly Output[] = () => [],
): { readonly left: readonly Output[]; readonly right: readonly Output[] } {
  const seen = { left: [...start], right: [] as Output[] };
  let toRight = [...start];
  let toLeft: Output[] = [];
  const step = (outputs: readonly Output[], target: Session): Output[] => {
    const produced = [...target.receive(sentBytes(outputs), 0)];
    for (const asked of ofKind(produced, 'asked')) produced.push(...onAsked(asked, target));
    return produced;
  };
  for (let turn = 0; turn < 50 && ofKind([...toRight, ...toLeft], 'send').length > 0; turn++) {
    const atRight = step(toRight, right);
    const atLeft = step([...toLeft, ...atRight], left);
    seen.right.push(...atRight);
    seen.left.push(...atLeft);
    toRight = atLeft;
    toLeft = [];
  }
  return seen;
}
