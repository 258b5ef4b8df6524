/** Adler-32 (RFC 1950), the check at the end of a zlib stream; `node:zlib` offers only CRC-32. */

/** Sums stay below 2^31 for this many bytes. */
const runBytes = 3800;
const modulus = 65_521;

/** Start with 1; feed the result back in. */
export function adler32(bytes: Uint8Array, before = 1): number {
  let low = before & 0xffff;
  let high = before >>> 16;
  for (let start = 0; start < bytes.length; start += runBytes) {
    const end = Math.min(start + runBytes, bytes.length);
    for (let index = start; index < end; index++) {
      low = (low + (bytes[index] ?? 0)) | 0;
      high = (high + low) | 0;
    }
    low %= modulus;
    high %= modulus;
  }
  return ((high << 16) | low) >>> 0;
}
