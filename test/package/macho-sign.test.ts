/** Ad-hoc signatures, read back by rules of their own: every page hash, every length. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { adHocSigned } from '../../scripts/package/macho-sign.ts';

/** The least a thin arm64 executable has: __TEXT with one section, __LINKEDIT at the end. */
function aProgram(bytes: number): Buffer {
  const program = Buffer.alloc(bytes, 7);
  program.fill(0, 0, 0x400);
  [0xfeedfacf, 0x0100000c, 0, 2, 2, 152 + 72, 0, 0].forEach((word, index) => {
    program.writeUInt32LE(word, index * 4);
  });
  segment(program, 32, '__TEXT', { at: 0, size: 0x1000, sections: [0x400] });
  segment(program, 32 + 152, '__LINKEDIT', { at: 0x1000, size: bytes - 0x1000, sections: [] });
  return program;
}

interface Place {
  readonly at: number;
  readonly size: number;
  readonly sections: readonly number[];
}

function segment(to: Buffer, at: number, name: string, place: Place): void {
  to.writeUInt32LE(0x19, at);
  to.writeUInt32LE(72 + place.sections.length * 80, at + 4);
  to.write(name, at + 8);
  to.writeBigUInt64LE(BigInt(place.at), at + 40);
  to.writeBigUInt64LE(BigInt(place.size), at + 48);
  to.writeUInt32LE(place.sections.length, at + 64);
  place.sections.forEach((offset, index) => {
    to.writeUInt32LE(offset, at + 72 + index * 80 + 48);
  });
}

test('every page of the signed file has its hash, and __LINKEDIT ends with the file', () => {
  const signed = adHocSigned(aProgram(0x1000 * 5 + 123), 'org.example.test');
  const command = 32 + 152 + 72;
  assert.equal(signed.readUInt32LE(16), 3);
  assert.deepEqual([signed.readUInt32LE(command), signed.readUInt32LE(command + 4)], [0x1d, 16]);
  const at = signed.readUInt32LE(command + 8);
  assert.equal(at + signed.readUInt32LE(command + 12), signed.length);
  assert.equal(signed.readUInt32BE(at), 0xfade0cc0);
  const directory = signed.subarray(at + signed.readUInt32BE(at + 16));
  assert.equal(directory.readUInt32BE(32), at, 'the code ends where the signature begins');
  const [hashes, slots] = [directory.readUInt32BE(16), directory.readUInt32BE(28)];
  for (let slot = 0; slot < slots; slot += 1) {
    const page = signed.subarray(slot * 4096, Math.min(at, (slot + 1) * 4096));
    const told = directory.subarray(hashes + slot * 32, hashes + slot * 32 + 32);
    assert.deepEqual(told, createHash('sha256').update(page).digest(), `page ${slot}`);
  }
  const linkEdit = 32 + 152;
  const end = signed.readBigUInt64LE(linkEdit + 40) + signed.readBigUInt64LE(linkEdit + 48);
  assert.equal(Number(end), signed.length);
});

test('the same program is signed to the same bytes; a signed one is refused', () => {
  const once = adHocSigned(aProgram(0x3000), 'org.example.test');
  assert.deepEqual(adHocSigned(aProgram(0x3000), 'org.example.test'), once);
  assert.throws(() => adHocSigned(once, 'org.example.test'), /signed already/);
});

test('what is no such file, is cut short, or has no room is refused', () => {
  assert.throws(() => adHocSigned(Buffer.alloc(64), 'x'), /Mach-O/);
  assert.throws(() => adHocSigned(aProgram(0x3000).subarray(0, 0x2000), 'x'), /cut short/);
  const tight = aProgram(0x3000);
  tight.writeUInt32LE(32 + 152 + 72, 32 + 72 + 48);
  assert.throws(() => adHocSigned(tight, 'x'), /no room/);
});
