/** Bundles of our own form, of any members in any folders. */
import { hash } from 'node:crypto';
import { parseName } from '../../../src/cluster/files/name.ts';
import { ownForm } from '../../../src/cluster/files/own-form.ts';
import type { MemberKind } from '../../../src/cluster/files/pack.ts';
import { squeeze } from '../../../src/cluster/files/squeeze.ts';

export interface OwnMember {
  readonly name: string;
  readonly content: string;
  /** Absent: the receiver is not told what it is. */
  readonly kind?: MemberKind;
  /** It comes in parts, as large files do. */
  readonly isLarge?: boolean;
}

export function ownBundle(members: readonly OwnMember[]): Buffer {
  return Buffer.concat([...squeeze(pieces(members))].flat().map((part) => Buffer.from(part)));
}

function* pieces(members: readonly OwnMember[]): Generator<Uint8Array, undefined> {
  const form = ownForm();
  for (const member of members) yield Buffer.concat([...written(form, member)]);
  yield Buffer.concat([...form.metadata([Buffer.from('{"missing":{},"shared":{},"extra":{}}')])]);
}

function written(form: ReturnType<typeof ownForm>, member: OwnMember): Iterable<Uint8Array> {
  const { name, content, kind = { group: undefined, itemKey: '' }, isLarge = false } = member;
  const bytes = Buffer.from(content);
  const file = {
    sizeBytes: bytes.length,
    read: () => bytes,
    isAtEnd: () => !isLarge,
    provenHash: () => hash('blake2b512', bytes, 'hex'),
    close: () => undefined,
  };
  const parsed = parseName(name);
  return form.whole?.(parsed, file, bytes, kind) ?? form.member(parsed, file, [bytes], kind);
}
